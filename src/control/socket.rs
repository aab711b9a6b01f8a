//! [`Socket`]: a Unix socket that nobody but its owner may connect to.

use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::Mode;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use tokio::net::{UnixListener, UnixStream};

/// Connections that wait to be accepted at most.
const BACKLOG: i32 = 16;

/// A listening socket; its file goes with it.
#[derive(Debug)]
pub(crate) struct Socket {
    listener: UnixListener,
    _file: SocketFile,
}

/// A socket's file, removed at the end unless somebody else has the name by then.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    device_and_inode: Option<(u64, u64)>,
}

impl Socket {
    /// Listens at `path`, with mode 0600. What a killed server left there is removed.
    ///
    /// # Errors
    /// `AddrInUse` where somebody listens; else what the system says.
    pub(crate) async fn bind(path: &Path) -> io::Result<Self> {
        remove_stale(path).await?;
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        // Before the name is there: unix(7), the file takes the socket's mode.
        rustix::fs::fchmod(&socket, Mode::RUSR | Mode::WUSR)?;
        rustix::net::bind(&socket, &SocketAddrUnix::new(path)?)?;
        let file = SocketFile::new(path);
        rustix::net::listen(&socket, BACKLOG)?;
        let listener = UnixListener::from_std(socket.into())?;
        Ok(Self { listener, _file: file })
    }

    pub(crate) async fn accept(&self) -> io::Result<UnixStream> {
        self.listener.accept().await.map(|(stream, _)| stream)
    }
}

impl SocketFile {
    pub(crate) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), device_and_inode: device_and_inode(path) }
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.device_and_inode.is_some() && self.device_and_inode == device_and_inode(&self.path) {
            // Somebody may have been quicker; then there is nothing to do.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn device_and_inode(path: &Path) -> Option<(u64, u64)> {
    std::fs::symlink_metadata(path).ok().map(|about| (about.dev(), about.ino()))
}

/// A socket file that a server left behind when it was killed has nobody behind it; only then it is removed.
pub(crate) async fn remove_stale(path: &Path) -> io::Result<()> {
    match std::fs::symlink_metadata(path) {
        Ok(about) if about.file_type().is_socket() => match UnixStream::connect(path).await {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(path),
            _ => Err(io::ErrorKind::AddrInUse.into()),
        },
        // Anything else in the way is for `bind` to refuse.
        _ => Ok(()),
    }
}
