//! Raw inflate that can stop between two blocks, tell the bit it stands at and start amid a stream: a safe face of
//! `libz-rs-sys`, and the only file of this room that is unsafe.

use std::ffi::{CStr, c_int};
use std::mem;

use libz_rs_sys as z;

/// Deflate's furthest reach back (RFC 1951 §2).
pub(super) const WINDOW_BYTES: usize = 32 * 1024;

/// Raw deflate, no header and no checksum, with a window of [`WINDOW_BYTES`].
const RAW: c_int = -15;

/// A raw deflate stream on its way; about 48 KiB.
pub(super) struct Inflate {
    /// Initialised by [`Inflate::new`] and until the drop. Boxed: C's rule is that a stream does not move.
    stream: Box<z::z_stream>,
}

/// Where a call stops before input or room is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// Nowhere.
    Never = z::Z_NO_FLUSH as isize,
    /// At the end of each block.
    AtBlock = z::Z_BLOCK as isize,
    /// Behind a block's header too.
    AtSymbols = z::Z_TREES as isize,
}

/// What one call did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) consumed: usize,
    pub(super) produced: usize,
    pub(super) at: At,
}

/// Where a call left the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum At {
    /// Input or room is used up.
    Anywhere,
    /// Behind a block that is not the last.
    Block,
    /// Behind the last block, with the padding to a whole byte still to be taken.
    LastBlock,
    /// Behind the header of a block; for a stored block, all through it.
    Symbols,
    /// Behind the stream.
    End,
}

impl Inflate {
    /// A stream at its first bit, with an empty window.
    pub(super) fn new() -> Self {
        let mut stream = Box::<z::z_stream>::default();
        // SAFETY: the stream is zeroed but for the Rust allocator's two functions, as C asks, and the version is a
        // string that the library itself owns.
        let code = unsafe {
            z::inflateInit2_(&mut *stream, RAW, z::zlibVersion(), mem::size_of::<z::z_stream>() as c_int)
        };
        assert_eq!(code, z::Z_OK, "the window's size is right, and 48 KiB are to be had");
        Self { stream }
    }

    /// Back to the first bit of a new stream, with an empty window.
    pub(super) fn reset(&mut self) {
        // SAFETY: the stream is initialised.
        let code = unsafe { z::inflateReset(&mut *self.stream) };
        assert_eq!(code, z::Z_OK, "an initialised stream can be reset");
    }

    /// Takes `window` as the output before the next byte; for a stream that has made none yet.
    pub(super) fn set_window(&mut self, window: &[u8]) {
        let len = window.len().min(WINDOW_BYTES);
        let end = &window[window.len() - len..];
        // SAFETY: the stream is initialised, and `end` is readable for the `len` bytes that are copied out of it.
        let code = unsafe { z::inflateSetDictionary(&mut *self.stream, end.as_ptr(), len as u32) };
        assert_eq!(code, z::Z_OK, "a raw stream takes a window of any length");
    }

    /// The last output, [`WINDOW_BYTES`] at most.
    pub(super) fn window(&self) -> Vec<u8> {
        let mut window = vec![0; WINDOW_BYTES];
        let mut len = 0;
        // SAFETY: the stream is initialised, and the library writes at most 32,768 bytes, which `window` has.
        let code = unsafe { z::inflateGetDictionary(&*self.stream, window.as_mut_ptr(), &mut len) };
        assert_eq!(code, z::Z_OK, "an initialised stream has a window");
        window.truncate(len as usize);
        window
    }

    /// Takes the lower `count` bits of `bits`, 8 at most, before the next byte of input.
    pub(super) fn add_bits(&mut self, bits: u8, count: u8) {
        // SAFETY: the stream is initialised.
        let code = unsafe { z::inflatePrime(&mut *self.stream, count.into(), bits.into()) };
        assert_eq!(code, z::Z_OK, "the bit buffer holds less than a symbol, and takes 8 bits more");
    }

    /// Drops the bits that were taken and are not decoded.
    pub(super) fn drop_bits(&mut self) {
        // SAFETY: the stream is initialised.
        let code = unsafe { z::inflatePrime(&mut *self.stream, -1, 0) };
        assert_eq!(code, z::Z_OK, "a bit buffer can be emptied");
    }

    /// Decodes from `input` to the end of `output`, `room` bytes at most.
    ///
    /// # Errors
    /// What is wrong with the stream, in the library's words. What came out before is in `output`.
    pub(super) fn step(
        &mut self,
        input: &[u8],
        output: &mut Vec<u8>,
        room: usize,
        stop: Stop,
    ) -> Result<Step, String> {
        output.reserve(room);
        let len = output.len();
        let space = output.spare_capacity_mut();
        let stream = &mut *self.stream;
        // The lengths fit: the numbers that the library counts in are 32 bits wide.
        stream.avail_in = u32::try_from(input.len()).unwrap_or(u32::MAX);
        stream.avail_out = u32::try_from(room.min(space.len())).unwrap_or(u32::MAX);
        stream.next_in = input.as_ptr();
        stream.next_out = space.as_mut_ptr().cast();
        let (given, free) = (stream.avail_in, stream.avail_out);
        // SAFETY: the stream is initialised; the two pairs of pointer and length describe parts of `input` and of the
        // unused capacity of `output`, which are borrowed for the call; the library keeps neither beyond it.
        let code = unsafe { z::inflate(stream, stop as c_int) };
        let (consumed, produced) = ((given - stream.avail_in) as usize, (free - stream.avail_out) as usize);
        // SAFETY: the library has written `produced` bytes behind the old length, within the capacity.
        unsafe { output.set_len(len + produced) };
        match code {
            z::Z_OK | z::Z_BUF_ERROR => Ok(Step { consumed, produced, at: self.at() }),
            z::Z_STREAM_END => Ok(Step { consumed, produced, at: At::End }),
            _ => Err(self.message()),
        }
    }

    /// The bits that were taken and are not decoded.
    pub(super) fn spare_bits(&self) -> u8 {
        (self.stream.data_type & 63) as u8
    }

    /// How many bits of the symbol under way are decoded; 0 where the next symbol's first bits are missing. Only of use
    /// amid a Huffman block's symbols: elsewhere it is stale.
    pub(super) fn symbol_bits(&self) -> i64 {
        // SAFETY: the stream is initialised.
        unsafe { z::inflateMark(&*self.stream) >> 16 }
    }

    fn at(&self) -> At {
        // zlib.h, `inflate`: 64 says that the block is the last, 128 that it just ended, 256 that its header did.
        match self.stream.data_type & (64 | 128 | 256) {
            128 => At::Block,
            192 => At::LastBlock,
            256 | 320 => At::Symbols,
            _ => At::Anywhere,
        }
    }

    fn message(&self) -> String {
        if self.stream.msg.is_null() {
            return "invalid state".to_owned();
        }
        // SAFETY: the library's messages are NUL-terminated strings that live as long as the program.
        unsafe { CStr::from_ptr(self.stream.msg) }.to_string_lossy().into_owned()
    }
}

impl Drop for Inflate {
    fn drop(&mut self) {
        // SAFETY: the stream is initialised, and this is its last use.
        unsafe { z::inflateEnd(&mut *self.stream) };
    }
}

// SAFETY: what the stream points to is its own: the state that the global allocator gave, which any thread may use and
// free. Input and output pointers are left over from the last call and are set before they are read.
unsafe impl Send for Inflate {}
