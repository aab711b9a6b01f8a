//! What a mount may choose about a folder: [`LocalOptions`].

/// How a folder of the host is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LocalOptions {
    /// Where links may lead. Default: [`Links::Beneath`].
    pub links: Links,
    /// Changes are taken. Default: no, every change is `ReadOnly`.
    pub writable: bool,
}

/// Where links inside the folder may lead. In no case out of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Links {
    /// Anywhere inside the folder, by relative text. A link that is absolute or climbs out is `PermissionDenied`.
    #[default]
    Beneath,
    /// As if the folder were `/`: absolute text starts at the folder, and `..` stops there. With `/` as the folder,
    /// links mean what they mean on the host.
    ReRooted,
}
