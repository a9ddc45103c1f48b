//! The telemetry's own health as metrics: what was exported and lost, and what this page leaves
//! out.

use super::Own;
use super::catalog::{
    EXPORT_PANICS, EXPORT_REQUESTS, EXPORT_RETRIES, LAST_SUCCESS, LINES_FOLDED, LINES_LOST,
    QUEUE_BYTES, QUEUE_SPANS, SPANS_DROPPED, SPANS_EXPORTED,
};
use super::model::{Gathered, OwnFamily, PointValue};
use crate::export::DropReason;

pub(super) fn gather(own: &Own) -> Vec<Gathered> {
    let health = &own.health;
    let dropped = DropReason::ALL.map(|reason| {
        let count = PointValue::Count(health.dropped(reason));
        (reason.label().to_owned(), count)
    });
    let requests = [
        (
            "success".to_owned(),
            PointValue::Count(health.requests_ok()),
        ),
        (
            "failure".to_owned(),
            PointValue::Count(health.requests_failed()),
        ),
    ];
    let families = [
        OwnFamily::single(&LINES_FOLDED, PointValue::Count(own.logs.folded())),
        OwnFamily::single(&LINES_LOST, PointValue::Count(own.logs.lost())),
        OwnFamily::single(&SPANS_EXPORTED, PointValue::Count(health.exported())),
        OwnFamily::by_label(&SPANS_DROPPED, dropped),
        OwnFamily::by_label(&EXPORT_REQUESTS, requests),
        OwnFamily::single(&EXPORT_RETRIES, PointValue::Count(health.retries())),
        OwnFamily::single(&EXPORT_PANICS, PointValue::Count(health.panics())),
        OwnFamily::single(&QUEUE_SPANS, PointValue::Count(health.queue_items())),
        OwnFamily::single(&QUEUE_BYTES, PointValue::Count(health.queue_bytes())),
        OwnFamily::single(&LAST_SUCCESS, PointValue::Number(health.last_success())),
    ];
    families.map(Gathered::Own).into()
}
