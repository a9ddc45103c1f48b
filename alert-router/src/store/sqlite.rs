//! The default store: one SQLite file, held by one process. Only this folder knows SQL.
//!
//! A commit is answered after its write-ahead log is synced. The connection that writes and the
//! two that read have a thread each, so the admin's pages never wait in front of intake.

mod cache;
mod fault;
mod identity;
mod read;
mod schema;
#[cfg(test)]
pub(super) mod tests;
mod worker;
mod write;

use std::fs::{self, DirBuilder, File};
use std::io;
#[cfg(unix)]
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use alert_engine::Timestamp;
use futures_util::future::BoxFuture;
use rusqlite::Connection;
use tokio::sync::mpsc;

use self::cache::Cache;
use self::fault::sorted;
use self::identity::Identity;
use self::schema::SchemaError;
use self::worker::Worker;
use self::write::{Job, Writer};
use super::lock::{FolderLock, LockError};
use super::{
    Committed, Depth, DocKey, Due, HistoryPage, HistoryQuery, Keep, Loaded, Scan, Store,
    StoreError, Unit,
};
use crate::clock::Clock;

/// Calls that may wait for each thread; more wait to be queued.
const QUEUE: usize = 256;

/// A store in one SQLite file. Clones are handles on the same store.
///
/// Dropping the last handle finishes what is queued, ends its threads and gives the folder free.
#[derive(Clone)]
pub struct SqliteStore {
    shared: Arc<Shared>,
}

/// Where the store is and how large it may grow.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SqliteSettings {
    /// The file. Its folder belongs to this process while the store is open; both are created.
    pub path: PathBuf,
    /// Bytes that the file may have before commits fail with [`StoreError::Full`], so that the
    /// rest of the disk stays usable. The write-ahead log beside it may take 32 MiB more.
    /// Default: `None`, no limit but the disk.
    pub max_bytes: Option<u64>,
}

/// Why the store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The data folder cannot be held.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The data folder cannot be made.
    #[error(
        "cannot create the data folder {}: {source}; make it yourself, or name another place \
         with --store", folder.display()
    )]
    Folder {
        /// The data folder.
        folder: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A newer binary wrote the file.
    #[error(
        "{} has schema version {found}, and this binary knows up to {known}; \
         start the binary that wrote it, or restore a backup", path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The newest version that this binary knows.
        known: i64,
    },
    /// The file is a database of something else.
    #[error("{} is not a store of alert-router; choose another file", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// No thread could be started.
    #[error("cannot start a thread for the store: {0}; raise the limit of threads (ulimit -u)")]
    Thread(#[source] io::Error),
    /// The file cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

type Query = Box<dyn FnOnce(&mut Connection) + Send>;

/// Dropped in this order: the writer is the last connection, which folds the log into the file.
struct Shared {
    /// Reads of intake and delivery.
    steps: Worker<Query>,
    /// Reads of pages and metrics.
    pages: Worker<Query>,
    writer: Worker<Job>,
    cache: Arc<Cache>,
    lock: FolderLock,
    file: Identity,
    path: PathBuf,
    clock: Arc<dyn Clock>,
}

/// What only tests set otherwise.
struct Tuning {
    page_bytes: u32,
    checkpoint_pages: u32,
    max_bytes: Option<u64>,
}

impl SqliteStore {
    /// Opens the store, creates it if it is missing, and brings it to this version. Blocks.
    ///
    /// # Errors
    /// When another process holds the folder, a newer binary or another program wrote the file,
    /// or it cannot be read or written. Nothing is changed then.
    pub fn open(settings: &SqliteSettings, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        let tuning = Tuning {
            max_bytes: settings.max_bytes,
            ..Tuning::default()
        };
        Self::open_tuned(&settings.path, &tuning, clock)
    }

    /// Tells processes that find the folder in use where this one listens.
    ///
    /// # Errors
    /// When the lock file cannot be written.
    pub fn announce(&self, address: &str) -> io::Result<()> {
        self.shared.lock.announce(address)
    }

    fn open_tuned(path: &Path, tuning: &Tuning, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        let failed = |error| OpenError::Store(sorted(path, error));
        if path.is_dir() {
            return Err(OpenError::Foreign {
                path: path.to_owned(),
            });
        }
        let folder = folder_of(path);
        create(folder).map_err(|source| OpenError::Folder {
            folder: folder.to_owned(),
            source,
        })?;
        let lock = FolderLock::take(folder)?;
        // Whoever closes the store folds its log into the file.
        let was_cut_off = bytes(&log_of(path)) > 0;

        let mut connection = Connection::open(path).map_err(failed)?;
        schema::check(&connection, schema::STEPS).map_err(|error| refused(path, error))?;
        schema::set_up_writer(&connection, tuning).map_err(failed)?;
        schema::migrate(&mut connection, schema::STEPS).map_err(|error| refused(path, error))?;
        let cache = Arc::new(Cache::default());
        let file = Identity::of(path)?;
        let writer = Writer::new(connection, Arc::clone(&cache)).map_err(failed)?;
        let writer = {
            let path = path.to_owned();
            Worker::start("store-write", QUEUE, move |jobs| writer.run(&path, jobs))
        };
        let writer = writer.map_err(OpenError::Thread)?;
        let shared = Shared {
            steps: reader("store-steps", path)?,
            pages: reader("store-pages", path)?,
            writer,
            cache,
            lock,
            file,
            path: path.to_owned(),
            clock,
        };
        if was_cut_off {
            tracing::warn!(
                store = %path.display(),
                "the last process was cut off: what it answered is here; what it did not answer \
                 is lost, and its senders send it again"
            );
        }
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// Reads documents from the file, in one snapshot.
    async fn read_docs(&self, keys: Vec<DocKey>) -> Result<Loaded, StoreError> {
        let read = self.read(&self.shared.steps, move |snapshot, now| {
            let docs = read::load(snapshot, &keys)?;
            Ok(Loaded { now, docs })
        });
        read.await
    }

    /// Runs `read` on a reader's thread, in one snapshot.
    async fn read<T: Send + 'static>(
        &self,
        reader: &Worker<Query>,
        read: impl FnOnce(&Connection, Timestamp) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let clock = Arc::clone(&self.shared.clock);
        let in_snapshot = move |connection: &mut Connection| {
            let snapshot = connection.transaction()?;
            read(&snapshot, clock.now())
        };
        reader
            .ask(|answer| {
                // A caller that went away meanwhile wants no answer.
                Box::new(move |connection| drop(answer.send(in_snapshot(connection))))
            })
            .await?
            .map_err(|error| sorted(&self.shared.path, error))
    }
}

impl Store for SqliteStore {
    fn load(&self, keys: Vec<DocKey>) -> BoxFuture<'_, Result<Loaded, StoreError>> {
        Box::pin(async move {
            let known = self.shared.cache.look(&keys);
            let missing = known.missing(&keys);
            if missing.is_empty() {
                let docs = known.filled(Vec::new());
                return Ok(Loaded {
                    now: self.shared.clock.now(),
                    docs,
                });
            }
            let read = self.read_docs(missing.clone()).await?;
            if self.shared.cache.learn(&known, &missing, &read.docs) {
                return Ok(Loaded {
                    now: read.now,
                    docs: known.filled(read.docs),
                });
            }
            self.read_docs(keys).await
        })
    }

    fn due(&self, limit: usize) -> BoxFuture<'_, Result<Due, StoreError>> {
        Box::pin(self.read(&self.shared.steps, move |snapshot, now| {
            read::due(snapshot, now, limit)
        }))
    }

    fn scan(&self, scan: Scan) -> BoxFuture<'_, Result<Loaded, StoreError>> {
        Box::pin(async move {
            self.shared.file.check(&self.shared.path)?;
            let read = self.read(&self.shared.pages, move |snapshot, now| {
                let docs = read::scan(snapshot, &scan)?;
                Ok(Loaded { now, docs })
            });
            read.await
        })
    }

    fn commit(&self, units: Vec<Unit>) -> BoxFuture<'_, Result<Vec<Committed>, StoreError>> {
        let commit = |answer| Job::commit(units, answer);
        Box::pin(async {
            self.shared.file.check(&self.shared.path)?;
            self.shared.writer.ask(commit).await?
        })
    }

    fn history(&self, query: HistoryQuery) -> BoxFuture<'_, Result<HistoryPage, StoreError>> {
        Box::pin(self.read(&self.shared.pages, move |snapshot, _| {
            read::history(snapshot, &query)
        }))
    }

    fn sweep(&self, keep: Keep) -> BoxFuture<'_, Result<u64, StoreError>> {
        let sweep = |answer| Job::sweep(keep, answer);
        Box::pin(async { self.shared.writer.ask(sweep).await? })
    }

    fn depth(&self) -> BoxFuture<'_, Result<Depth, StoreError>> {
        Box::pin(async {
            let counted = self.read(&self.shared.pages, read::depth).await?;
            Ok(Depth {
                bytes: bytes_on_disk(&self.shared.path),
                ..counted
            })
        })
    }
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            page_bytes: 4_096,
            checkpoint_pages: 8_192,
            max_bytes: None,
        }
    }
}

fn reader(name: &str, path: &Path) -> Result<Worker<Query>, OpenError> {
    let connection = Connection::open(path)
        .and_then(|connection| schema::set_up_reader(&connection).map(|()| connection));
    let mut connection = connection.map_err(|error| sorted(path, error))?;
    Worker::start(name, QUEUE, move |mut queries: mpsc::Receiver<Query>| {
        while let Some(query) = queries.blocking_recv() {
            query(&mut connection);
        }
    })
    .map_err(OpenError::Thread)
}

fn refused(path: &Path, error: SchemaError) -> OpenError {
    let path = path.to_owned();
    match error {
        SchemaError::Newer { found, known } => OpenError::Newer { path, found, known },
        SchemaError::Foreign => OpenError::Foreign { path },
        SchemaError::Sqlite(error) => OpenError::Store(sorted(&path, error)),
    }
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        Some(_) | None => Path::new("."),
    }
}

/// Makes the folder, for us alone: alerts and unreadable bodies are nobody else's business. It is
/// synced, so that a power cut cannot take it with all that is in it.
fn create(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    builder.mode(0o700);
    builder.create(folder)?;
    File::open(folder_of(folder))?.sync_all()
}

/// The file and its write-ahead log.
fn bytes_on_disk(path: &Path) -> u64 {
    bytes(path) + bytes(&log_of(path))
}

/// What is missing has no bytes.
fn bytes(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |found| found.len())
}

fn log_of(path: &Path) -> PathBuf {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    log.into()
}
