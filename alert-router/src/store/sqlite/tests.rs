//! How the suite opens, crashes and tears a store on disk, and what only a file can do wrong:
//! another version, another program, another process, damage.

use std::fs;

use rusqlite::Connection;
use tempfile::TempDir;

use super::schema::{STEPS, migrate};
use super::*;
use crate::clock::ManualClock;
use crate::store::conformance::{Ability, Subject};
use crate::store::{Kind, Record, Revision, Write};

/// Small pages, so that a torn page has few bytes and documents flow over.
const PAGE_BYTES: u32 = 512;
/// A page and the header of its frame in the write-ahead log.
const FRAME_BYTES: u64 = PAGE_BYTES as u64 + 24;

pub(in crate::store) struct OnDisk {
    store: SqliteStore,
    clock: Arc<ManualClock>,
    folder: TempDir,
}

impl OnDisk {
    fn open(folder: TempDir, tuning: &Tuning, clock: Arc<ManualClock>) -> Self {
        let path = folder.path().join("store.db");
        let store = SqliteStore::open_tuned(&path, tuning, Arc::clone(&clock) as Arc<dyn Clock>);
        Self {
            store: store.unwrap(),
            clock,
            folder,
        }
    }

    /// The files as they are now, with the log cut to `log_bytes`, opened elsewhere.
    fn copy(&self, log_bytes: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for file in ["store.db", "store.db-wal"] {
            fs::copy(self.folder.path().join(file), folder.path().join(file)).unwrap();
        }
        let mut log = fs::OpenOptions::new();
        let log = log.write(true).open(folder.path().join("store.db-wal"));
        log.unwrap().set_len(log_bytes).unwrap();
        Self::open(folder, &Tuning::default(), Arc::clone(&self.clock))
    }

    fn log_bytes(&self) -> u64 {
        let log = self.folder.path().join("store.db-wal");
        fs::metadata(log).unwrap().len()
    }
}

impl Subject for OnDisk {
    const LACKS: &'static [Ability] = &[];

    fn create(clock: Arc<ManualClock>) -> Self {
        let tuning = Tuning {
            page_bytes: PAGE_BYTES,
            ..Tuning::default()
        };
        Self::open(tempfile::tempdir().unwrap(), &tuning, clock)
    }

    fn handle(&self) -> Arc<dyn Store> {
        Arc::new(self.store.clone())
    }

    fn crash(&self) -> Self {
        self.copy(self.log_bytes())
    }

    fn torn(&self) -> Box<dyn Iterator<Item = Self> + '_> {
        let whole = self.log_bytes();
        Box::new((whole - FRAME_BYTES..=whole).map(|cut| self.copy(cut)))
    }

    fn with_room(clock: Arc<ManualClock>, bytes: u64) -> Self {
        let tuning = Tuning {
            max_bytes: Some(bytes),
            ..Tuning::default()
        };
        Self::open(tempfile::tempdir().unwrap(), &tuning, clock)
    }
}

fn open(path: &Path) -> Result<SqliteStore, OpenError> {
    let settings = SqliteSettings {
        path: path.to_owned(),
        max_bytes: None,
    };
    SqliteStore::open(&settings, Arc::new(ManualClock::at(Timestamp::default())))
}

fn refusal(path: &Path) -> String {
    let error = open(path).err().expect("it is refused");
    let folder = path.parent().unwrap().display().to_string();
    error.to_string().replace(&folder, "DATA")
}

fn groups(count: u8) -> Unit {
    let puts = (1..=count).map(|n| Write::Put {
        key: DocKey {
            kind: Kind::Group,
            id: vec![n].into(),
        },
        expected: Revision::NONE,
        wake_at: None,
        bytes: vec![n; 3_000].into(),
    });
    Unit {
        writes: puts.collect(),
        history: Vec::<Record>::new(),
    }
}

#[tokio::test]
async fn a_second_opener_is_refused_until_the_last_handle_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("made/on/the/way/store.db");
    let first = open(&path).unwrap();
    first.announce("http://127.0.0.1:9095").unwrap();
    let said = refusal(&path).replace(&std::process::id().to_string(), "PID");
    insta::assert_snapshot!(said, @"DATA is in use by process PID at http://127.0.0.1:9095; stop it, or send the command to it");
    let clone = first.clone();
    drop(first);
    assert!(matches!(open(&path), Err(OpenError::Lock(_))));
    drop(clone);
    open(&path).unwrap();
}

#[test]
fn the_log_is_synced_before_a_commit_is_answered() {
    let folder = tempfile::tempdir().unwrap();
    let connection = Connection::open(folder.path().join("store.db")).unwrap();
    schema::set_up_writer(&connection, &Tuning::default()).unwrap();
    let pragma = |name| {
        connection
            .pragma_query_value(None, name, |row| row.get::<_, rusqlite::types::Value>(0))
            .unwrap()
    };
    let full = 2;
    assert_eq!(pragma("journal_mode"), "wal".to_owned().into());
    assert_eq!(pragma("synchronous"), full.into());
    assert_eq!(pragma("fullfsync"), 1.into());
}

#[cfg(unix)]
#[test]
fn a_folder_that_we_make_is_for_us_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let made = folder.path().join("data");
    drop(open(&made.join("store.db")).unwrap());
    let mode = fs::metadata(&made).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[test]
fn closing_ends_the_threads_and_folds_the_log_into_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    drop(open(&path).unwrap());
    // Only the last connection to close does this, and each thread owns one.
    assert!(!folder.path().join("store.db-wal").exists());
}

/// What `open` logs.
fn logged(open: impl FnOnce()) -> String {
    let file = tempfile::NamedTempFile::new().unwrap();
    let log = Arc::new(file.reopen().unwrap());
    let logs = tracing_subscriber::fmt().with_writer(log).finish();
    tracing::subscriber::with_default(logs, open);
    fs::read_to_string(file.path()).unwrap()
}

#[tokio::test]
async fn f27_a_store_that_was_cut_off_says_so_when_it_is_opened_again() {
    let clock = Arc::new(ManualClock::at(Timestamp::default()));
    let store = OnDisk::create(clock);
    store.store.commit(vec![groups(1)]).await.unwrap();
    let torn = store.log_bytes() - FRAME_BYTES / 2;
    let said = logged(|| drop(store.copy(torn)));
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(
        said.contains("WARN") && said.contains("was cut off"),
        "{said}"
    );
    assert!(said.contains("store.db"), "{said}");
    // That is the place to say so, and not every start.
    let path = store.folder.path().join("store.db");
    drop(store.store);
    assert_eq!(logged(|| drop(open(&path).unwrap())), "");
}

#[test]
fn a_newer_file_is_refused_by_both_versions_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    drop(open(&path).unwrap());
    let newer = Connection::open(&path).unwrap();
    newer.pragma_update(None, "user_version", 99).unwrap();
    drop(newer);
    let before = fs::read(&path).unwrap();
    insta::assert_snapshot!(refusal(&path), @"DATA/store.db has schema version 99, and this binary knows up to 1; start the binary that wrote it, or restore a backup");
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn the_database_of_another_program_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("grafana.db");
    let other = Connection::open(&path).unwrap();
    other.execute_batch("CREATE TABLE dashboard (id)").unwrap();
    drop(other);
    let before = fs::read(&path).unwrap();
    insta::assert_snapshot!(refusal(&path), @"DATA/grafana.db is not a store of alert-router; choose another file");
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn an_older_file_takes_the_steps_that_it_lacks_and_keeps_its_rows() {
    let folder = tempfile::tempdir().unwrap();
    let mut connection = Connection::open(folder.path().join("store.db")).unwrap();
    migrate(&mut connection, STEPS).unwrap();
    connection
        .execute_batch("INSERT INTO docs VALUES (1, x'01', 7, NULL, x'02')")
        .unwrap();
    let next = "ALTER TABLE docs ADD COLUMN note TEXT NOT NULL DEFAULT 'old'";
    let broken = "UPDATE docs SET note = 'half'; SELECT no_such_function()";

    let steps: Vec<&str> = STEPS.iter().copied().chain([next, broken]).collect();
    assert!(migrate(&mut connection, &steps).is_err());
    let row = || {
        let version: i64 = connection
            .pragma_query_value(None, "user_version", |row| row.get(0))
            .unwrap();
        let note: String = connection
            .query_row("SELECT note FROM docs WHERE revision = 7", [], |row| {
                row.get(0)
            })
            .unwrap();
        (version, note)
    };
    let taken = i64::try_from(STEPS.len()).unwrap() + 1;
    assert_eq!(row(), (taken, "old".into()), "a failed step leaves nothing");
}

#[tokio::test]
async fn damage_is_reported_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let store = open(&path).unwrap();
    store.commit(vec![groups(40)]).await.unwrap();
    drop(store);
    let mut bytes = fs::read(&path).unwrap();
    let tables = 3 * 4_096;
    bytes[tables..].fill(0xa5);
    fs::write(&path, &bytes).unwrap();
    let scan = Scan {
        kind: Kind::Group,
        after: bytes::Bytes::new(),
        limit: 100,
    };
    let error = match open(&path) {
        Ok(store) => store.scan(scan).await.unwrap_err(),
        Err(OpenError::Store(error)) => error,
        Err(other) => panic!("{other}"),
    };
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error:?}");
    let said = error.to_string();
    let said = said.replace(&folder.path().display().to_string(), "DATA");
    insta::assert_snapshot!(said, @"the store in DATA/store.db is damaged: database disk image is malformed; stop alert-router, keep a copy of the folder, and restore a backup or let `sqlite3 DATA/store.db .recover` save what is readable");
}

#[test]
fn what_is_no_database_is_reported_as_damage() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    fs::write(
        &path,
        "not a database, but long enough to look at. ".repeat(40),
    )
    .unwrap();
    assert!(matches!(
        open(&path),
        Err(OpenError::Store(StoreError::Corrupt { .. }))
    ));
}

/// Transactions in a write-ahead log: frames that carry the size of the file after a commit.
fn transactions(log: &[u8]) -> usize {
    let (header, frame) = (32, 24 + 4_096);
    let frames = log[header..].chunks_exact(frame);
    frames.filter(|frame| frame[4..8] != [0; 4]).count()
}

#[tokio::test]
async fn calls_that_wait_share_a_transaction() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    drop(open(&path).unwrap());
    let (jobs, waiting) = mpsc::channel(QUEUE);
    let answers: Vec<_> = (1..=50_u8)
        .map(|n| {
            let mut unit = groups(1);
            if let Write::Put { key, .. } = &mut unit.writes[0] {
                key.id = vec![n].into();
            }
            let units = vec![unit];
            let (answer, answered) = tokio::sync::oneshot::channel();
            assert!(jobs.try_send(Job::commit(units, answer)).is_ok());
            answered
        })
        .collect();
    drop(jobs);

    // A second connection keeps the log when the writer closes.
    let second = Connection::open(&path).unwrap();
    second.execute_batch("SELECT * FROM counter").unwrap();
    let writer = Writer::new(Connection::open(&path).unwrap(), Arc::default()).unwrap();
    let run = {
        let path = path.clone();
        std::thread::spawn(move || writer.run(&path, waiting))
    };
    run.join().unwrap();
    for answered in answers {
        let outcomes = answered.await.unwrap().unwrap();
        assert!(matches!(outcomes[0], Committed::Done(_)));
    }
    let log = fs::read(folder.path().join("store.db-wal")).unwrap();
    assert_eq!(transactions(&log), 1);
}
