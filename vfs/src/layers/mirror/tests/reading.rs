//! Bytes: one fetch for all, blocks, breaks, versions.

use super::*;

const LEN: usize = 5 * BLOCK_BYTES as usize + 1234;

#[tokio::test(start_paused = true)]
async fn many_readers_cost_one_fetch() {
    let scene = scene().await;
    let bytes = content(LEN, 1);
    scene.origin.put("/f", &bytes);
    let mut readers = Vec::new();
    for _ in 0..50 {
        let mirror = scene.mirror.clone();
        readers.push(tokio::spawn(async move {
            let file = mirror.open(&path("/f"), &OpenOptions::reading()).await?;
            pull(file, ByteRange::whole()).await
        }));
    }
    for reader in readers {
        assert_eq!(reader.await.unwrap().unwrap(), bytes);
    }
    assert_eq!(scene.origin.take_counts(), Counts { opens: 1, bytes: LEN as u64, listings: 0 });
    assert_eq!(scene.read("/f").await.unwrap(), bytes);
}

#[tokio::test(start_paused = true)]
async fn a_reader_sees_bytes_before_the_rest_has_come() {
    let scene = scene().await;
    let bytes = content(LEN, 2);
    scene.origin.put("/f", &bytes);
    scene.origin.hold_back_from(100_000);
    let first = scene.open("/f").await.unwrap();
    let second = scene.open("/f").await.unwrap();
    for file in [&first, &second] {
        assert_eq!(file.read_at(90_000, 5).await.unwrap(), bytes[90_000..90_005]);
    }
    scene.origin.hold_back_from(u64::MAX);
    assert_eq!(pull(second, ByteRange::whole()).await.unwrap(), bytes);
    assert_eq!(scene.origin.take_counts().opens, 1);
}

#[tokio::test(start_paused = true)]
async fn a_small_range_costs_its_block_and_then_nothing() {
    let scene = scene().await;
    let bytes = content(LEN, 3);
    scene.origin.put("/f", &bytes);
    let range = ByteRange::at(3 * BLOCK_BYTES + 17, 10);
    let wanted = &bytes[range.start as usize..][..10];
    let file = scene.open_for("/f", Intent::Range).await.unwrap();
    assert_eq!(pull(file, range).await.unwrap(), wanted);
    assert_eq!(scene.origin.take_counts().bytes, BLOCK_BYTES);
    let file = scene.open_for("/f", Intent::Range).await.unwrap();
    assert_eq!(file.read_at(range.start, 10).await.unwrap(), wanted);
    let counts = scene.origin.take_counts();
    assert_eq!(counts.bytes, 0, "it was there");
    // A range over the edge fetches what is missing.
    let range = ByteRange::at(2 * BLOCK_BYTES - 5, 10);
    let file = scene.open_for("/f", Intent::Range).await.unwrap();
    assert_eq!(pull(file, range).await.unwrap(), bytes[range.start as usize..][..10]);
    assert_eq!(scene.origin.take_counts().bytes, 2 * BLOCK_BYTES);
}

#[tokio::test(start_paused = true)]
async fn every_range_of_a_file_with_holes_has_the_right_bytes() {
    let scene = scene().await;
    let bytes = content(LEN, 4);
    scene.origin.put("/f", &bytes);
    let edges = [
        0,
        1,
        BLOCK_BYTES - 1,
        BLOCK_BYTES,
        2 * BLOCK_BYTES + 3,
        4 * BLOCK_BYTES,
        LEN as u64 - 1,
        LEN as u64,
    ];
    for start in edges {
        for end in edges.into_iter().filter(|end| start <= *end).rev() {
            let file = scene.open_for("/f", Intent::Range).await.unwrap();
            let range = ByteRange { start, end: Some(end) };
            assert_eq!(
                pull(file, range).await.unwrap(),
                bytes[start as usize..end as usize],
                "{start}..{end}"
            );
        }
    }
    assert_eq!(scene.origin.take_counts().bytes, LEN as u64, "no byte came twice");
    let file = scene.open("/f").await.unwrap();
    let beyond = pull(file, ByteRange { start: 5, end: Some(LEN as u64 + 1) }).await.unwrap_err();
    assert_eq!(beyond.kind(), ErrorKind::Truncated);
}

#[tokio::test(start_paused = true)]
async fn a_source_that_breaks_off_is_an_error_and_what_came_is_kept() {
    let scene = scene().await;
    let bytes = content(LEN, 5);
    scene.origin.put("/f", &bytes);
    let whole_blocks = 2 * BLOCK_BYTES;
    scene.origin.break_at(whole_blocks + 100, u32::MAX);
    assert_eq!(scene.read("/f").await.unwrap_err().kind(), ErrorKind::Truncated);
    scene.origin.break_at(0, 0);
    scene.origin.take_counts();
    assert_eq!(scene.read("/f").await.unwrap(), bytes);
    assert_eq!(
        scene.origin.take_counts().bytes,
        LEN as u64 - whole_blocks,
        "it went on behind the last whole block"
    );
}

#[tokio::test(start_paused = true)]
async fn a_source_that_breaks_off_is_gone_on_with_for_who_waits() {
    let scene = scene().await;
    let bytes = content(LEN, 5);
    scene.origin.put("/f", &bytes);
    scene.origin.break_at(2 * BLOCK_BYTES + 100, 1);
    assert_eq!(scene.read("/f").await.unwrap(), bytes);
    assert_eq!(scene.origin.take_counts(), Counts { opens: 2, bytes: LEN as u64, listings: 0 });
    // Another version is never put behind it.
    scene.origin.put("/g", &bytes);
    scene.origin.hold_back_from(BLOCK_BYTES);
    let file = scene.open("/g").await.unwrap();
    let reader = tokio::spawn(pull(Arc::clone(&file), ByteRange::whole()));
    file.read_at(0, 10).await.unwrap();
    // By then the reader waits for the rest.
    tokio::time::sleep(Duration::from_secs(1)).await;
    scene.origin.put("/g", &content(LEN, 7));
    scene.origin.break_at(BLOCK_BYTES, 1);
    scene.origin.hold_back_from(u64::MAX);
    assert_eq!(reader.await.unwrap().unwrap_err().kind(), ErrorKind::Changed);
}

#[tokio::test(start_paused = true)]
async fn half_of_a_version_that_has_no_strong_name_is_never_continued() {
    let scene = scene().await;
    scene.origin.weaken_validators();
    let bytes = content(LEN, 6);
    scene.origin.put("/f", &bytes);
    scene.origin.break_at(2 * BLOCK_BYTES, 1);
    scene.read("/f").await.unwrap_err();
    let scene = scene.restarted(MirrorOptions::default()).await;
    scene.origin.take_counts();
    assert_eq!(scene.read("/f").await.unwrap(), bytes);
    assert_eq!(scene.origin.take_counts().bytes, LEN as u64);
}

#[tokio::test(start_paused = true)]
async fn two_fetches_of_what_has_no_strong_name_are_never_put_together() {
    let scene = scene().await;
    scene.origin.weaken_validators();
    let bytes = content(LEN, 6);
    scene.origin.put("/f", &bytes);
    scene.origin.break_at(2 * BLOCK_BYTES + 5, 1);
    let slow = scene.open("/f").await.unwrap();
    scene.read("/f").await.unwrap_err();
    // Who opened before has the first fetch's bytes and no others.
    assert_eq!(slow.read_at(0, 10).await.unwrap(), bytes[..10]);
    assert_eq!(slow.read_at(3 * BLOCK_BYTES, 10).await.unwrap_err().kind(), ErrorKind::Truncated);
    scene.origin.take_counts();
    assert_eq!(scene.read("/f").await.unwrap(), bytes);
    assert_eq!(scene.origin.take_counts().bytes, LEN as u64);
    assert_eq!(slow.read_at(3 * BLOCK_BYTES, 10).await.unwrap_err().kind(), ErrorKind::Truncated);
}

#[tokio::test(start_paused = true)]
async fn a_file_of_unknown_length_ends_where_its_source_does() {
    for len in [0, 7, BLOCK_BYTES as usize, LEN] {
        let scene = scene().await;
        scene.origin.hide_lengths();
        let bytes = content(len, 7);
        scene.origin.put("/f", &bytes);
        assert_eq!(scene.read("/f").await.unwrap(), bytes);
        assert_eq!(scene.read("/f").await.unwrap(), bytes);
        let file = scene.open("/f").await.unwrap();
        assert_eq!(file.metadata().await.unwrap().len, Some(len as u64));
        assert_eq!(scene.origin.take_counts().bytes, len as u64);
    }
}

#[tokio::test(start_paused = true)]
async fn a_reader_of_the_old_version_finishes_it() {
    let scene = scene().await;
    scene.origin.say(fresh_for(0));
    let (old, new) = (content(LEN, 8), content(LEN, 9));
    scene.origin.put("/f", &old);
    let reader = scene.open("/f").await.unwrap();
    assert_eq!(reader.read_at(0, 10).await.unwrap(), old[..10]);
    assert_eq!(pull(Arc::clone(&reader), ByteRange::whole()).await.unwrap(), old);
    scene.origin.put("/f", &new);
    tokio::time::advance(Duration::from_secs(60)).await;
    assert_eq!(scene.read("/f").await.unwrap(), new);
    assert_eq!(pull(reader, ByteRange::whole()).await.unwrap(), old);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_nobody_waits_for_stops_unless_little_is_missing() {
    const LONG: usize = 100 << 20;
    for (held_at, is_finished) in [(10 << 20, false), (60 << 20, true)] {
        let scene = scene().await;
        let bytes = content(LONG, 10);
        scene.origin.put("/f", &bytes);
        scene.origin.hold_back_from(held_at);
        let file = scene.open("/f").await.unwrap();
        let reading = pull(file, ByteRange::whole());
        assert!(tokio::time::timeout(Duration::from_secs(1), reading).await.is_err());
        tokio::time::sleep(Duration::from_secs(10)).await;
        scene.origin.hold_back_from(u64::MAX);
        tokio::time::sleep(Duration::from_secs(600)).await;
        let counts = scene.origin.take_counts();
        assert_eq!(counts.bytes == LONG as u64, is_finished, "held at {held_at}: {counts:?}");
    }
}
