//! How the program's allocator behaves: as few heaps as serve all threads, and what is large goes back when it is freed.

/// Heaps of the allocator. glibc makes up to eight for each core, and what threads of the blocking pool free stays in
/// the heap that it came from: a first pass through an archive, whose pieces are decoded wherever a thread is free, then
/// holds half as much memory again as it uses (64 MiB instead of 51, with the same processor time).
#[cfg(target_env = "gnu")]
const HEAPS: i32 = 2;

/// From this length on, memory comes from the system and goes back to it. glibc would raise that by itself to 32 MiB with
/// what is freed, and the decoders of many archives, some megabytes each, would leave holes in the heaps for good.
#[cfg(target_env = "gnu")]
const LARGE_BYTES: i32 = 1 << 20;

/// What stays free at a heap's end before it goes back: with a fixed bound above, this one is fixed too, and its default of
/// 128 KiB would have each piece of input taken from the system and given back.
#[cfg(target_env = "gnu")]
const SPARE_BYTES: i32 = 8 << 20;

/// Bounds the heaps; to be called before threads are started.
#[cfg(target_env = "gnu")]
#[allow(unsafe_code)] // Calls that no safe crate has.
pub fn bound_heaps() {
    for (option, value) in [
        (libc::M_ARENA_MAX, HEAPS),
        (libc::M_MMAP_THRESHOLD, LARGE_BYTES),
        (libc::M_TRIM_THRESHOLD, SPARE_BYTES),
    ] {
        // SAFETY: mallopt(3) takes two numbers, which only change how memory is got later; there is one thread.
        let _ = unsafe { libc::mallopt(option, value) };
    }
}

/// Other allocators need no bound.
#[cfg(not(target_env = "gnu"))]
pub fn bound_heaps() {}
