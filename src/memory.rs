//! How the program's allocator behaves: as few heaps as serve all threads.

/// Heaps of the allocator. glibc makes up to eight for each core, and what threads of the blocking pool free stays in
/// the heap that it came from: a first pass through an archive, whose pieces are decoded wherever a thread is free, then
/// holds half as much memory again as it uses (64 MiB instead of 51, with the same processor time).
#[cfg(target_env = "gnu")]
const HEAPS: i32 = 2;

/// Bounds the heaps; to be called before threads are started.
#[cfg(target_env = "gnu")]
#[allow(unsafe_code)] // One call that no safe crate has.
pub fn bound_heaps() {
    // SAFETY: mallopt(3) takes two numbers; M_ARENA_MAX only bounds heaps that are made later, and there is one thread.
    let _ = unsafe { libc::mallopt(libc::M_ARENA_MAX, HEAPS) };
}

/// Other allocators need no bound.
#[cfg(not(target_env = "gnu"))]
pub fn bound_heaps() {}
