//! What a durable commit costs: units per second and bytes written per unit, by how many callers
//! share the store. `cargo bench -p alert-router --bench store [-- FOLDER]`; prints, asserts nothing.
#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]
#![expect(clippy::unwrap_used, reason = "a benchmark stops at the first error")]
#![expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use alert_engine::Timestamp;
use alert_router::clock::SystemClock;
use alert_router::store::{
    Committed, DocKey, Kind, Record, Revision, SqliteSettings, SqliteStore, Store, Unit, Write,
};
use bytes::Bytes;

const DOCS: u64 = 5_000;
const DOC_BYTES: usize = 1_024;
const RECORD_BYTES: usize = 120;
const TIME: Duration = Duration::from_secs(3);

/// One row of the table.
struct Load {
    name: &'static str,
    callers: u64,
    units: u64,
    /// Whether each unit creates a document, instead of changing one.
    create: bool,
    history: bool,
}

fn main() {
    let folder = std::env::args().skip(1).find(|arg| !arg.starts_with('-'));
    let folder = folder.map_or_else(std::env::temp_dir, PathBuf::from);
    println!(
        "{:34} {:>9} {:>10} {:>10} {:>10} {:>9} {:>8} {:>8} {:>8}",
        "load",
        "units/s",
        "calls/s",
        "log B/unit",
        "disk B/unit",
        "cpu us/u",
        "ms p50",
        "p99",
        "max"
    );
    let load = |name, callers, units, create, history| Load {
        name,
        callers,
        units,
        create,
        history,
    };
    for load in [
        load("change, 1 caller x 100 units", 1, 100, false, false),
        load("change, 1 caller x 100, history", 1, 100, false, true),
        load("create, 1 caller x 100 units", 1, 100, true, false),
        load("change, 1 caller x 1 unit", 1, 1, false, false),
        load("change, 64 callers x 1 unit", 64, 1, false, false),
        load("change, 64 callers x 1, history", 64, 1, false, true),
        load("change, 64 callers x 20, history", 64, 20, false, true),
    ] {
        measure(&load, &folder);
    }
    restart(&folder);
}

/// How long the start takes when much is stored.
fn restart(folder: &std::path::Path) {
    let folder = tempfile::tempdir_in(folder).unwrap();
    let settings = SqliteSettings {
        path: folder.path().join("bench.db"),
        max_bytes: None,
    };
    let open = || SqliteStore::open(&settings, Arc::new(SystemClock)).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let store = open();
    for chunk in 0..100 {
        let docs = chunk * 1_000..(chunk + 1) * 1_000;
        let units = docs.map(|doc| unit(doc, Revision::NONE, 0, true));
        runtime.block_on(store.commit(units.collect())).unwrap();
    }
    drop(store);
    let start = Instant::now();
    let store = open();
    let opened = start.elapsed();
    let due = runtime.block_on(store.due(5_000)).unwrap().docs.len();
    let read = start.elapsed() - opened;
    println!(
        "open with 100,000 documents: {opened:?}; reading {due} of them that are due: {read:?}"
    );
}

fn measure(load: &Load, folder: &std::path::Path) {
    let folder = tempfile::tempdir_in(folder).unwrap();
    let settings = SqliteSettings {
        path: folder.path().join("bench.db"),
        max_bytes: None,
    };
    let store = SqliteStore::open(&settings, Arc::new(SystemClock)).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let revisions = runtime.block_on(fill(&store));
    let (bytes, cpu, start) = (written(), cpu(), Instant::now());
    let callers: Vec<_> = (0..load.callers)
        .map(|caller| {
            let mine = (0..DOCS).filter(|doc| doc % load.callers == caller);
            let mine = mine.map(|doc| (doc, revisions[usize::try_from(doc).unwrap()]));
            let (units, create, history) = (load.units, load.create, load.history);
            let store = store.clone();
            let docs = mine.collect();
            runtime.spawn(async move { call(store, docs, units, create, history, caller).await })
        })
        .collect();
    let mut times: Vec<Duration> = callers
        .into_iter()
        .flat_map(|caller| runtime.block_on(caller).unwrap())
        .collect();
    times.sort_unstable();
    let calls = times.len() as u64;
    let millis = |share: f64| times[(share * (calls - 1) as f64) as usize].as_secs_f64() * 1e3;
    let seconds = start.elapsed().as_secs_f64();
    drop(store);
    let units = (calls * load.units) as f64;
    println!(
        "{:34} {:>9.0} {:>10.0} {:>10.0} {:>10.0} {:>9.1} {:>8.2} {:>8.2} {:>8.1}",
        load.name,
        units / seconds,
        calls as f64 / seconds,
        (written().0 - bytes.0) as f64 / units,
        (written().1 - bytes.1) as f64 / units,
        (self::cpu() - cpu) * 1e6 / units,
        millis(0.5),
        millis(0.99),
        millis(1.0),
    );
}

async fn fill(store: &SqliteStore) -> Vec<Revision> {
    let units = (0..DOCS).map(|doc| unit(doc, Revision::NONE, 0, false));
    let done = store.commit(units.collect()).await.unwrap();
    done.into_iter().map(revision).collect()
}

async fn call(
    store: SqliteStore,
    mut docs: Vec<(u64, Revision)>,
    units: u64,
    create: bool,
    history: bool,
    caller: u64,
) -> Vec<Duration> {
    let start = Instant::now();
    let mut times = Vec::new();
    let (mut calls, mut next) = (0, 0);
    while start.elapsed() < TIME {
        let picked: Vec<usize> = (0..units)
            .map(|n| (usize::try_from(n).unwrap() + next) % docs.len())
            .collect();
        next = (next + picked.len()) % docs.len();
        let batch = picked.iter().enumerate().map(|(n, &at)| {
            if create {
                let fresh = DOCS + (caller << 40) + calls * units + n as u64;
                return unit(fresh, Revision::NONE, calls, history);
            }
            unit(docs[at].0, docs[at].1, calls, history)
        });
        let batch = batch.collect();
        let called = Instant::now();
        let done = store.commit(batch).await.unwrap();
        times.push(called.elapsed());
        if !create {
            picked
                .into_iter()
                .zip(done)
                .for_each(|(at, done)| docs[at].1 = revision(done));
        }
        calls += 1;
    }
    times
}

fn unit(doc: u64, expected: Revision, round: u64, history: bool) -> Unit {
    // Spread over the key space, as hashes are.
    let id = u128::from(doc).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    let key = DocKey {
        kind: Kind::Group,
        id: Bytes::copy_from_slice(&id.to_be_bytes()),
    };
    let at = Timestamp::from_millis(1_000_000 + i64::try_from(round).unwrap());
    let record = Record {
        at,
        about: key.clone(),
        bytes: Bytes::from(vec![b'h'; RECORD_BYTES]),
    };
    let put = Write::Put {
        key,
        expected,
        wake_at: Some(at),
        bytes: Bytes::from(vec![u8::try_from(round % 251).unwrap(); DOC_BYTES]),
    };
    Unit {
        writes: vec![put],
        history: if history { vec![record] } else { vec![] },
    }
}

fn revision(done: Committed) -> Revision {
    match done {
        Committed::Done(revisions) => revisions[0],
        Committed::Conflict(keys) => panic!("nobody else writes {keys:?}"),
    }
}

/// Bytes given to `write`, and bytes that reach the disk by the kernel's account; zero where
/// there is no `/proc`.
fn written() -> (u64, u64) {
    let io = std::fs::read_to_string("/proc/self/io").unwrap_or_default();
    let field = |name: &str| {
        let line = io.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|value| value.trim().parse().ok())
            .unwrap_or(0)
    };
    (field("wchar:"), field("write_bytes:"))
}

/// Seconds of CPU of this process, user and system; clock ticks are 100 a second on Linux.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.split(' ').collect();
    let ticks = |at: usize| fields.get(at).and_then(|f| f.parse::<f64>().ok());
    (ticks(13).unwrap_or(0.0) + ticks(14).unwrap_or(0.0)) / 100.0
}
