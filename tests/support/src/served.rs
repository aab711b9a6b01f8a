//! One tree behind both front ends, on free ports of 127.0.0.1.

use std::net::SocketAddr;
use std::sync::Arc;

use frontends::serve::{Address, Listener};
use frontends::{Site, ftp, http};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use vfs::FileSystem;

/// Both front ends over one tree. They end with it.
#[derive(Debug)]
pub struct Served {
    /// HTTP.
    pub http: Gate,
    /// FTP.
    pub ftp: Gate,
}

/// One running front end.
#[derive(Debug)]
pub struct Gate {
    /// Where it listens.
    pub address: SocketAddr,
    /// Its site: counters and limits.
    pub site: Arc<Site>,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Served {
    /// Shows `tree` to everybody.
    pub async fn start(tree: Arc<dyn FileSystem>) -> Self {
        Self::with(tree, |_| {}).await
    }

    /// Shows `tree`, on sites that `configure` has changed.
    pub async fn with(tree: Arc<dyn FileSystem>, configure: impl Fn(&mut Site)) -> Self {
        let site = || {
            let mut site = Site::new(Arc::clone(&tree));
            configure(&mut site);
            Arc::new(site)
        };
        let http = Gate::open(site(), |listener, site, stop| {
            Box::pin(http::serve(listener, site, http::Options::default(), stop))
        })
        .await;
        let ftp = Gate::open(site(), |listener, site, stop| {
            // Everybody is a guest here, and may do what the tree lets them.
            let options = ftp::Options { guests_overwrite: true, ..ftp::Options::default() };
            Box::pin(ftp::serve(listener, site, options, stop))
        })
        .await;
        Self { http, ftp }
    }
}

type Stop = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

impl Gate {
    async fn open(
        site: Arc<Site>,
        serve: impl FnOnce(Listener, Arc<Site>, Stop) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>>,
    ) -> Self {
        let any_port = Address::Tcp(SocketAddr::from(([127, 0, 0, 1], 0)));
        let listener = Listener::bind(&any_port).await.expect("a free port of the loopback");
        let Address::Tcp(address) = listener.local_address() else { unreachable!("bound to TCP above") };
        let (stop, stopped) = oneshot::channel::<()>();
        let ended = async move {
            let _ = stopped.await;
        };
        let task = tokio::spawn(serve(listener, Arc::clone(&site), Box::pin(ended)));
        Self { address, site, stop: Some(stop), task }
    }

    /// Asks it to stop and waits until it has drained.
    pub async fn stop(mut self) {
        drop(self.stop.take());
        (&mut self.task).await.expect("the front end does not panic");
    }

    /// A URL below this gate.
    pub fn url(&self, scheme: &str, path: &str) -> String {
        format!("{scheme}://{}{path}", self.address)
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.task.abort();
    }
}
