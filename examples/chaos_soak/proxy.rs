//! A proxy in front of a master or an agent: shows what goes by, and does harm from a seed.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// What a connection that hangs takes in before it is not read any more, in bytes.
const HELD: usize = 1024 * 1024;

/// How long the side that was not told of the end may be left in the dark.
const DARK: Duration = Duration::from_secs(2);

/// Does harm while it is on.
#[derive(Debug, Default)]
pub struct Harm {
    is_on: AtomicBool,
    faults: AtomicU64,
    left: Mutex<[Left; 2]>,
}

/// Connections that hung, and that the driver left.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Left {
    pub count: u64,
    /// From the moment it hung.
    pub after_at_most: Duration,
}

impl Left {
    pub fn add(&mut self, other: Self) {
        self.count += other.count;
        self.after_at_most = self.after_at_most.max(other.after_at_most);
    }
}

impl Harm {
    pub fn begin(&self) {
        self.is_on.store(true, Ordering::Relaxed);
    }

    /// What hangs goes on.
    pub fn end(&self) {
        self.is_on.store(false, Ordering::Relaxed);
    }

    pub fn faults(&self) -> u64 {
        self.faults.load(Ordering::Relaxed)
    }

    /// Event streams.
    pub fn left_streams(&self) -> Left {
        self.left()[0]
    }

    /// Connections of calls.
    pub fn left_calls(&self) -> Left {
        self.left()[1]
    }

    fn left(&self) -> MutexGuard<'_, [Left; 2]> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_on(&self) -> bool {
        self.is_on.load(Ordering::Relaxed)
    }
}

/// What a proxy is for.
#[derive(Clone, Debug)]
pub struct Plan {
    /// `host:port`.
    pub target: String,
    pub seed: u64,
    /// After this, a connection that hangs goes on if it was not left.
    pub longest_hang: Duration,
    /// Whether what the driver sends is garbled, too.
    pub is_garbling_calls: bool,
}

pub struct Proxy {
    pub address: SocketAddr,
    _tasks: JoinSet<()>,
}

impl Proxy {
    /// `watch` makes what sees all that the driver sends over a connection, as soon as it was sent; it answers whether
    /// the connection is one of events.
    pub async fn start<W>(
        plan: Plan,
        harm: Arc<Harm>,
        watch: impl Fn() -> W + Send + 'static,
    ) -> io::Result<Self>
    where
        W: FnMut(&[u8]) -> bool + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut random = fastrand::Rng::with_seed(plan.seed);
            let mut connections = JoinSet::new();
            while let Ok((front, _)) = listener.accept().await {
                let wire = Wire {
                    plan: plan.clone(),
                    harm: Arc::clone(&harm),
                    is_events: AtomicBool::new(false),
                    hung_since: Mutex::new(None),
                };
                connections.spawn(wire.connect(front, random.fork(), watch()));
                while connections.try_join_next().is_some() {}
            }
        });
        Ok(Self {
            address,
            _tasks: tasks,
        })
    }
}

/// What happens to a piece of what goes by.
enum Fault {
    Cut,
    /// Only part of the piece arrives before the cut.
    Half,
    Delay(Duration),
    Garbage,
    /// Nothing goes this way any more, and the connection is not closed.
    Hang,
}

/// Mostly none.
fn fault(random: &mut fastrand::Rng) -> Option<Fault> {
    let up_to = |random: &mut fastrand::Rng, longest| Duration::from_millis(random.u64(0..longest));
    match random.u32(..2400) {
        0..4 => Some(Fault::Cut),
        4..8 => Some(Fault::Half),
        8..12 => Some(Fault::Garbage),
        12..16 => Some(Fault::Delay(up_to(random, 3000))),
        16..36 => Some(Fault::Delay(up_to(random, 100))),
        36..38 => Some(Fault::Hang),
        _ => None,
    }
}

/// Who ended a connection.
#[derive(PartialEq)]
enum End {
    /// The one that was read from.
    Closed,
    Fault,
}

/// One connection.
struct Wire {
    plan: Plan,
    harm: Arc<Harm>,
    is_events: AtomicBool,
    hung_since: Mutex<Option<Instant>>,
}

impl Wire {
    async fn connect(
        self,
        front: TcpStream,
        random: fastrand::Rng,
        watch: impl FnMut(&[u8]) -> bool,
    ) {
        // A peer that is dead refuses, and so does this.
        if let Ok(back) = TcpStream::connect(&self.plan.target).await {
            // A side that breaks is closed on the other side, too.
            let _ = self.carry(front, back, random, watch).await;
        }
    }

    async fn carry(
        &self,
        front: TcpStream,
        back: TcpStream,
        mut random: fastrand::Rng,
        mut watch: impl FnMut(&[u8]) -> bool,
    ) -> io::Result<()> {
        front.set_nodelay(true)?;
        back.set_nodelay(true)?;
        let (mut from_front, mut to_front) = front.into_split();
        let (mut from_back, mut to_back) = back.into_split();
        let up = |piece: &[u8]| {
            if watch(piece) {
                self.is_events.store(true, Ordering::Relaxed);
            }
        };
        let (mut of_calls, mut of_events) = (random.fork(), random.fork());
        let is_left = tokio::select! {
            end = self.pump(&mut from_front, &mut to_back, &mut of_calls, self.plan.is_garbling_calls, up) => end? == End::Closed,
            end = self.pump(&mut from_back, &mut to_front, &mut of_events, true, |_| {}) => end.map(|_| false)?,
        };
        if is_left && self.note_left() {
            drop((from_front, to_front));
            tokio::time::sleep(DARK.mul_f64(random.f64())).await;
        }
        Ok(())
    }

    async fn pump(
        &self,
        from: &mut (impl AsyncRead + Unpin),
        to: &mut (impl AsyncWrite + Unpin),
        random: &mut fastrand::Rng,
        is_garbling: bool,
        mut watch: impl FnMut(&[u8]),
    ) -> io::Result<End> {
        let mut piece = Vec::with_capacity(16 * 1024);
        loop {
            piece.clear();
            // A reset is an end like any other.
            if from.read_buf(&mut piece).await.unwrap_or_default() == 0 {
                return Ok(End::Closed);
            }
            watch(&piece);
            let fault = fault(random).filter(|own| is_garbling || !matches!(own, Fault::Garbage));
            let fault = fault.filter(|_| self.harm.is_on());
            let is_fault = u64::from(fault.is_some());
            self.harm.faults.fetch_add(is_fault, Ordering::Relaxed);
            match fault {
                Some(Fault::Cut) => return Ok(End::Fault),
                Some(Fault::Half) => {
                    to.write_all(&piece[..random.usize(..piece.len())]).await?;
                    return Ok(End::Fault);
                }
                Some(Fault::Delay(time)) => tokio::time::sleep(time).await,
                Some(Fault::Garbage) => to.write_all(b"\x00\xff!garbage!\n").await?,
                Some(Fault::Hang) if !self.hang(from, &mut piece, &mut watch).await => {
                    return Ok(End::Closed);
                }
                Some(Fault::Hang) | None => {}
            }
            to.write_all(&piece).await?;
        }
    }

    /// Keeps to itself what comes, until it is over. False: nothing comes any more.
    async fn hang(
        &self,
        from: &mut (impl AsyncRead + Unpin),
        held: &mut Vec<u8>,
        watch: &mut impl FnMut(&[u8]),
    ) -> bool {
        let since = Instant::now();
        self.hung_since().get_or_insert(since);
        while since.elapsed() < self.plan.longest_hang && self.harm.is_on() {
            let known = held.len();
            tokio::select! {
                count = from.read_buf(held), if known < HELD => {
                    if count.unwrap_or_default() == 0 {
                        return false;
                    }
                    watch(&held[known..]);
                }
                () = tokio::time::sleep(Duration::from_millis(50)) => {}
            }
        }
        *self.hung_since() = None;
        true
    }

    /// The driver has closed it. Whether it hung.
    fn note_left(&self) -> bool {
        let Some(since) = *self.hung_since() else {
            return false;
        };
        let kind = usize::from(!self.is_events.load(Ordering::Relaxed));
        self.harm.left()[kind].add(Left {
            count: 1,
            after_at_most: since.elapsed(),
        });
        true
    }

    fn hung_since(&self) -> MutexGuard<'_, Option<Instant>> {
        let locked = self.hung_since.lock();
        locked.unwrap_or_else(PoisonError::into_inner)
    }
}
