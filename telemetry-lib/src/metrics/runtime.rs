//! The tokio runtime in the counters that its stable interface has.

use tokio::runtime::Handle;

use super::catalog::{TOKIO_BUSY, TOKIO_PARKS, TOKIO_QUEUE, TOKIO_TASKS, TOKIO_WORKERS};
use super::model::{Gathered, OwnFamily, PointValue};

pub(super) fn gather(runtime: &Handle) -> Vec<Gathered> {
    let metrics = runtime.metrics();
    let workers = metrics.num_workers();
    let single = [
        (&TOKIO_WORKERS, workers),
        (&TOKIO_TASKS, metrics.num_alive_tasks()),
        (&TOKIO_QUEUE, metrics.global_queue_depth()),
    ];
    let single =
        single.map(|(desc, value)| OwnFamily::single(desc, PointValue::Count(value as u64)));
    let busy = |worker: usize| {
        let busy = metrics.worker_total_busy_duration(worker).as_secs_f64();
        (worker.to_string(), PointValue::Number(busy))
    };
    let parks = |worker: usize| {
        let parks = metrics.worker_park_count(worker);
        (worker.to_string(), PointValue::Count(parks))
    };
    let by_worker = [
        OwnFamily::by_label(&TOKIO_BUSY, (0..workers).map(busy)),
        OwnFamily::by_label(&TOKIO_PARKS, (0..workers).map(parks)),
    ];
    single
        .into_iter()
        .chain(by_worker)
        .map(Gathered::Own)
        .collect()
}
