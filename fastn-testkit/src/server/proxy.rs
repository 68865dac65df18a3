//! A way to a server that can be cut.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

/// Where a connection is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Cut {
    /// Nowhere.
    Never = 0,
    /// Before what the client says next gets to the server.
    Request = 1,
    /// After the server has got what the client says next, and before the client hears of it.
    Answer = 2,
}

/// Stands between clients and a server on this machine, and cuts connections when told to.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    state: Arc<State>,
    task: AbortHandle,
}

#[derive(Debug, Default)]
struct State {
    /// What is done to the next connection on which a client says something long enough.
    next: AtomicU8,
    /// How long that is, in bytes.
    long: AtomicU64,
    /// How often it was done.
    cuts: AtomicU64,
    /// How often all connections were frozen.
    freezes: watch::Sender<u64>,
    /// The first byte of what the server says and nobody hears; 0 for none.
    unheard: AtomicU8,
    /// How often nobody heard it.
    swallowed: AtomicU64,
    /// How often clients said something.
    requests: AtomicU64,
    /// How much that was, in bytes.
    said: AtomicU64,
}

/// What clients have said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Said {
    /// How often they said something. A client that waits for each answer says a request at a time.
    pub requests: u64,
    /// How much, in bytes.
    pub bytes: u64,
}

impl Proxy {
    /// Stands before a port of this machine.
    ///
    /// # Errors
    /// If no port can be had.
    pub async fn before(port: u16) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let state = Arc::<State>::default();
        let shared = state.clone();
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let state = shared.clone();
                connections.spawn(async move {
                    // Whichever end is lost, the other is closed: that is all a proxy can say.
                    let _ = connect(client, port, &state).await;
                });
            }
        })
        .abort_handle();
        Ok(Self { address, state, task })
    }

    /// Where it stands.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Cuts the next connection on which a client says at least so many bytes at once, there.
    pub fn cut(&self, cut: Cut, bytes: u64) {
        self.state.long.store(bytes, Ordering::SeqCst);
        self.state.next.store(cut as u8, Ordering::SeqCst);
    }

    /// Nothing gets through any more on the connections that there are, without anybody being told; new ones are as before.
    pub fn freeze(&self) {
        self.state.freezes.send_modify(|times| *times += 1);
    }

    /// What the server says and begins with this byte, gets to nobody from now on; with 0 everything does. A PostgreSQL that
    /// notifies a connection on which nothing else goes on begins with `A` (its manual, "Message Formats").
    pub fn swallow(&self, first: u8) {
        self.state.unheard.store(first, Ordering::SeqCst);
    }

    /// How often something did not get to anybody.
    pub fn swallowed(&self) -> u64 {
        self.state.swallowed.load(Ordering::SeqCst)
    }

    /// What clients have said so far.
    pub fn said(&self) -> Said {
        Said { requests: self.state.requests.load(Ordering::SeqCst), bytes: self.state.said.load(Ordering::SeqCst) }
    }

    /// How many connections were cut.
    pub fn cuts(&self) -> u64 {
        self.state.cuts.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl State {
    /// What is to be done to a connection on which this was said.
    fn take(&self, said: usize) -> u8 {
        if u64::try_from(said).is_ok_and(|said| said < self.long.load(Ordering::SeqCst)) {
            return Cut::Never as u8;
        }
        let cut = self.next.swap(Cut::Never as u8, Ordering::SeqCst);
        if cut != Cut::Never as u8 {
            self.cuts.fetch_add(1, Ordering::SeqCst);
        }
        cut
    }

    /// Whether nobody is to hear this.
    fn swallows(&self, said: &[u8]) -> bool {
        let unheard = self.unheard.load(Ordering::SeqCst);
        let swallows = unheard != 0 && said.first() == Some(&unheard);
        if swallows {
            self.swallowed.fetch_add(1, Ordering::SeqCst);
        }
        swallows
    }
}

async fn connect(client: TcpStream, port: u16, state: &State) -> io::Result<()> {
    let server = TcpStream::connect(("127.0.0.1", port)).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let deaf = AtomicU8::new(0);
    let mut frozen = state.freezes.subscribe();
    let ask = async {
        let mut bytes = vec![0; 1 << 16];
        loop {
            let count = from_client.read(&mut bytes).await?;
            let said = bytes.get(..count).unwrap_or_default();
            match state.take(said.len()) {
                _ if said.is_empty() => return to_server.shutdown().await,
                cut if cut == Cut::Request as u8 => return Ok(()),
                cut if cut == Cut::Answer as u8 => deaf.store(1, Ordering::SeqCst),
                _ => {}
            }
            state.requests.fetch_add(1, Ordering::SeqCst);
            state.said.fetch_add(u64::try_from(said.len()).unwrap_or(u64::MAX), Ordering::SeqCst);
            to_server.write_all(said).await?;
        }
    };
    let answer = async {
        let mut bytes = vec![0; 1 << 16];
        loop {
            let count = from_server.read(&mut bytes).await?;
            let said = bytes.get(..count).unwrap_or_default();
            // The server has answered, so it has done what it was asked.
            if said.is_empty() || deaf.load(Ordering::SeqCst) == 1 {
                return Ok(());
            }
            if state.swallows(said) {
                continue;
            }
            to_client.write_all(said).await?;
        }
    };
    tokio::select! {
        biased;
        Ok(()) = frozen.changed() => std::future::pending().await,
        ended = ask => ended,
        ended = answer => ended,
    }
}
