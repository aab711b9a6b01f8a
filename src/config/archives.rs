//! `[archives]`: how archives are looked at.

use serde::Deserialize;

/// How archives are looked at, wherever they lie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Archives {
    /// A tar goes on behind the zeros that end it, as for `tar --ignore-zeros`. Default false.
    pub ignore_zeros: bool,
    /// A tar goes on behind what is damaged in it. Default false.
    pub resync: bool,
    /// An index that lies beside its archive is used. Default false: whoever can write there could name members as they
    /// like.
    pub indexes_beside: bool,
}
