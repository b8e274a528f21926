//! What a test's thread traces, what is logged, and what the test adds, to be looked through.

use std::cell::RefCell;
use std::io::Write;
use std::sync::{Arc, Mutex, OnceLock};

use tracing::subscriber::DefaultGuard;
use tracing_subscriber::fmt::MakeWriter;

thread_local! {
    /// Gets the texts of panics in this thread.
    static PANICS: RefCell<Option<Written>> = const { RefCell::new(None) };
}

/// What was written.
#[derive(Clone, Default)]
pub struct Written(Arc<Mutex<Vec<u8>>>);

/// As long as it lives, things are written.
pub struct Logging {
    _tracing: DefaultGuard,
    written: Written,
}

impl Written {
    pub fn add(&self, text: &str) {
        self.0.lock().unwrap().extend_from_slice(text.as_bytes());
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }

    /// Gets all that is traced in this thread.
    pub fn trace(&self) -> DefaultGuard {
        // With a single subscriber, `tracing` asks that of whichever thread comes to a place first, and other tests'
        // threads have none.
        static SECOND: OnceLock<tracing::Dispatch> = OnceLock::new();
        SECOND.get_or_init(|| {
            let subscriber = tracing_subscriber::fmt()
                .with_max_level(tracing::Level::TRACE)
                .with_writer(std::io::sink);
            tracing::Dispatch::new(subscriber.finish())
        });
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false)
            .with_writer(self.clone());
        tracing::subscriber::set_default(subscriber.finish())
    }

    /// Gets all that is traced in this thread, and the texts of its panics, and all that any thread logs.
    pub fn log_everything(&self) -> Logging {
        static HOOK: OnceLock<()> = OnceLock::new();
        HOOK.get_or_init(|| {
            let before = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                PANICS.with_borrow(|written| {
                    if let Some(written) = written {
                        written.add(&format!("PANIC {panic}\n"));
                    }
                });
                before(panic);
            }));
        });
        PANICS.set(Some(self.clone()));
        Log::global().0.lock().unwrap().push(self.clone());
        Logging {
            _tracing: self.trace(),
            written: self.clone(),
        }
    }

    /// Asserts that there is a line at this level with all of these.
    pub fn says(&self, level: &str, parts: &[&str]) {
        let text = self.text();
        let is_it = |line: &str| {
            let mut words = line.split_whitespace();
            words.any(|word| word == level) && parts.iter().all(|part| line.contains(part))
        };
        assert!(text.lines().any(is_it), "{level} {parts:?} not in:\n{text}");
    }

    /// Asserts that none of these is there, nor the numbers of its bytes.
    pub fn is_clean_of(&self, secrets: &[&str]) {
        let text = self.text();
        for secret in secrets {
            let numbers = format!("{:?}", secret.as_bytes());
            for form in [secret, numbers.trim_matches(['[', ']'])] {
                let at = text.find(form);
                let around =
                    at.map(|at| &text[text.floor_char_boundary(at.saturating_sub(200))..at]);
                assert_eq!(around, None, "{secret}");
            }
        }
    }
}

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Written {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

impl Drop for Logging {
    fn drop(&mut self) {
        PANICS.set(None);
        let mut all = Log::global().0.lock().unwrap();
        all.retain(|written| !Arc::ptr_eq(&written.0, &self.written.0));
    }
}

/// What crates log that know nothing of `tracing`.
#[derive(Default)]
struct Log(Mutex<Vec<Written>>);

impl Log {
    fn global() -> &'static Self {
        static LOG: OnceLock<Log> = OnceLock::new();
        static SET: OnceLock<()> = OnceLock::new();
        let log = LOG.get_or_init(Self::default);
        SET.get_or_init(|| {
            log::set_logger(log).unwrap();
            log::set_max_level(log::LevelFilter::Trace);
        });
        log
    }
}

impl log::Log for Log {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        for written in &*self.0.lock().unwrap() {
            written.add(&format!("{} {}\n", record.target(), record.args()));
        }
    }

    fn flush(&self) {}
}
