//! How members are opened.

use std::sync::Arc;

use super::super::extents::Extents;
use super::builder::{Archive, Entry};
use super::{Content, Held, decode, enter, enter_file, told};
use crate::error::ErrorKind;
use crate::options::ByteRange;

/// Longer than what is decoded as a whole, and compressible.
fn long() -> Vec<u8> {
    (0..1_600_000_u32).flat_map(|number| ((number / 7) as u16).to_le_bytes()).collect()
}

#[tokio::test]
async fn small_members_come_whole_and_checked() {
    for (name, content) in [("empty", &b""[..]), ("short", b"abc"), ("full", &[7; 1 << 20])] {
        for entry in [Entry::stored(name, content), Entry::deflated(name, content)] {
            let method = entry.method;
            let entered = enter(Archive::of([entry]).build()).await.unwrap();
            assert_eq!(entered.read(name).await.unwrap(), content, "{name} by method {method}");
        }
    }
}

#[tokio::test]
async fn a_large_stored_member_is_a_range_of_the_archive() {
    let content = long();
    let first = Entry::stored("first", b"abc");
    let archive = Archive::of([first, Entry::stored("long", &content)]).build();
    let at = archive.windows(64).position(|bytes| *bytes == content[..64]).unwrap() as u64;
    let Content::Stored(range) = enter(archive).await.unwrap().open("long").await.unwrap() else {
        panic!("it is stored");
    };
    assert_eq!(range, ByteRange::at(at, content.len() as u64));
}

#[tokio::test]
async fn a_large_deflated_member_is_a_codec_and_a_range_and_can_be_entered_amid() {
    let content = long();
    let archive = Archive::of([Entry::deflated("long", &content), Entry::stored("b", b"")]).build();
    let entered = enter(archive.clone()).await.unwrap();
    let Content::Packed(codec, range) = entered.open("long").await.unwrap() else {
        panic!("it is packed");
    };
    let packed = &archive[range.start as usize..range.end.unwrap() as usize];
    assert_eq!(decode(&*codec, packed).as_ref(), Ok(&content));

    let (mut decoder, mut output) = (codec.start(), Vec::new());
    decoder.decode(packed, true, &mut output, content.len()).unwrap();
    let points = decoder.take_points();
    assert!(!points.is_empty(), "points are found on the way");
    for point in points {
        let rest = &packed[(point.input_bits / 8) as usize..];
        let mut output = Vec::new();
        let mut resumed = codec.resume(&codec.compact(point.clone(), rest)).unwrap();
        resumed.decode(rest, true, &mut output, usize::MAX).unwrap();
        assert!(output == content[point.output as usize..], "other bytes from {}", point.output);
    }
}

#[tokio::test]
async fn a_large_member_that_is_not_what_the_directory_says_fails_at_its_end() {
    let content = long();
    let good = Entry::deflated("long", &content);
    let len = good.len;
    for (entry, expected) in [
        (Entry { crc: 7, ..good.clone() }, "and its directory says 0x00000007"),
        (Entry { len: len + 1, ..good.clone() }, "it holds 3200000 bytes, and its directory says 3200001"),
        (Entry { len: len - 1, ..good.clone() }, "it holds more than the 3199999 bytes"),
    ] {
        let archive = Archive::of([entry]).build();
        let Content::Packed(codec, range) = enter(archive.clone()).await.unwrap().open("long").await.unwrap()
        else {
            panic!("it is packed");
        };
        let told = decode(&*codec, &archive[range.start as usize..range.end.unwrap() as usize]).unwrap_err();
        assert!(told.contains(expected), "{told}");
    }
}

#[tokio::test]
async fn a_long_local_header_costs_one_read_more() {
    let entry = Entry { local_extra: vec![0; 60_000], ..Entry::deflated("a", b"content") };
    let file = Arc::new(Held::new(Archive::of([entry]).build()));
    let entered = enter_file(Arc::clone(&file)).await.unwrap();
    let before = file.reads();
    assert_eq!(entered.read("a").await.unwrap(), "content");
    assert_eq!(file.reads() - before, 2);
}

#[tokio::test]
async fn the_text_of_a_link_is_its_content() {
    let link = |text: &[u8]| Entry { attributes: 0o120_777 << 16, ..Entry::deflated("link", text) };
    let read = async |text: &[u8]| {
        let entered = enter(Archive::of([link(text)]).build()).await.unwrap();
        entered.zip.read_link(&entered.entry("link").member).await
    };
    assert_eq!(read(b"../over/there").await.unwrap(), "../over/there");
    assert_eq!(told(read(b"").await).0, ErrorKind::Corrupt);
    assert_eq!(told(read(&[b'a'; 5000]).await).0, ErrorKind::Corrupt);
}

#[tokio::test]
async fn an_archive_that_got_shorter_is_truncated() {
    let whole = Archive::of([Entry::stored("a", &[1; 5000]), Entry::stored("b", b"x")]).build();
    let entered = enter(whole.clone()).await.unwrap();
    let shorter = Arc::new(Held::new(whole[..3000].to_vec()));
    let zip = super::Zip::new(shorter, whole.len() as u64, Extents::default());
    assert_eq!(told(zip.open(&entered.entry("a").member).await).0, ErrorKind::Truncated);
}
