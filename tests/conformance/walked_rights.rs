//! Where rights differ every path is walked link by link: the suite passes all the same, but for what
//! [`RightsFs`](vfs::layers::RightsFs) says that it refuses.

use std::sync::Arc;

use vfs::VPath;
use vfs::backends::memory::MemoryFs;
use vfs::conformance::{self, Skill, Subject};
use vfs::layers::{Access, RightsFs, Rules};

/// Cases that make links, or move the root with a rule of its own in it.
const REFUSED: [&str; 5] = [
    "a_link_is_made_where_nothing_is_only",
    "a_link_is_made_with_any_text",
    "a_long_chain_of_links_is_a_loop",
    "a_name_of_256_bytes_is_too_long",
    "the_root_stays",
];

const LACKS: &[Skill] = &[Skill::SpecialFiles, Skill::AbsoluteLinks];

#[tokio::test]
async fn a_rule_elsewhere_changes_nothing_here() {
    let forbidden = VPath::parse("/elsewhere/forbidden").unwrap();
    let rules = Arc::new(Rules::new([(VPath::root(), Access::ALL), (forbidden, Access::NONE)]).unwrap());
    let mut asked = 0;
    for case in conformance::cases() {
        let tree = Arc::new(MemoryFs::new());
        let guarded = RightsFs::new(Arc::<MemoryFs>::clone(&tree), Arc::clone(&rules));
        let subject = Subject::new(Arc::new(guarded)).lacking(LACKS);
        if case.applies_to(&subject) && !REFUSED.contains(&case.name) {
            conformance::fill(&*tree, &VPath::root()).await.unwrap();
            case.run(&subject).await;
            asked += 1;
        }
    }
    assert!(asked > 100, "{asked} cases applied");
}
