//! `[control]`: where an operator reaches the running server.

use std::convert::Infallible;
use std::path::PathBuf;
use std::str::FromStr;

use serde::Deserialize;
use toml::Spanned;

use super::mount::path_of_host;
use super::refusal::{Document, Refusal};

/// The control socket's place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Control {
    /// `$XDG_RUNTIME_DIR/vfsd.sock`, where there is such a folder and no other server has it.
    #[default]
    Usual,
    /// There is none.
    Off,
    /// There.
    At(PathBuf),
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawControl {
    listen: Option<Spanned<String>>,
}

impl TryFrom<(RawControl, &Document<'_>)> for Control {
    type Error = Refusal;

    fn try_from((raw, document): (RawControl, &Document<'_>)) -> Result<Self, Refusal> {
        match raw.listen {
            None => Ok(Self::Usual),
            Some(written) if written.get_ref() == "off" => Ok(Self::Off),
            Some(written) => {
                let path = document.folder.join(written.get_ref().as_bytes());
                let path = path.map_err(|error| Refusal::new(written.span(), error.to_string()))?;
                Ok(Self::At(path_of_host(&path)))
            }
        }
    }
}

impl FromStr for Control {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(if text == "off" { Self::Off } else { Self::At(PathBuf::from(text)) })
    }
}
