//! The encoded export request as the client handles it: halving and compressing. Encoding it is
//! `opentelemetry-otlp`'s work.

use std::io::Write as _;

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans};
use prost::Message as _;

/// An encoded request and how many spans are in it.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    pub(super) body: Bytes,
    pub(super) spans: u64,
}

impl Piece {
    /// Two requests with half of the spans each, in their order; `None` when there is at most one.
    pub(super) fn split(&self) -> Option<[Self; 2]> {
        let mut first = ExportTraceServiceRequest::decode(self.body.clone()).ok()?;
        let total = count(&first);
        if total < 2 {
            return None;
        }
        let half = total / 2;
        let second = split_off(&mut first, half);
        Some([first, second].map(|request| Self {
            spans: count(&request) as u64,
            body: request.encode_to_vec().into(),
        }))
    }

    /// The body as it travels.
    pub(super) fn encoded(&self, gzip: bool) -> Bytes {
        if !gzip {
            return self.body.clone();
        }
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder
            .write_all(&self.body)
            .and_then(|()| encoder.finish())
            .expect("writing to memory does not fail")
            .into()
    }
}

/// Leaves the first `keep` spans in `request` and returns the others.
fn split_off(
    request: &mut ExportTraceServiceRequest,
    mut keep: usize,
) -> ExportTraceServiceRequest {
    let resource_spans = request
        .resource_spans
        .iter_mut()
        .map(|resource| ResourceSpans {
            resource: resource.resource.clone(),
            schema_url: resource.schema_url.clone(),
            scope_spans: resource
                .scope_spans
                .iter_mut()
                .map(|scope| {
                    let here = keep.min(scope.spans.len());
                    keep -= here;
                    ScopeSpans {
                        scope: scope.scope.clone(),
                        schema_url: scope.schema_url.clone(),
                        spans: scope.spans.split_off(here),
                    }
                })
                .collect(),
        })
        .collect();
    ExportTraceServiceRequest { resource_spans }
}

fn count(request: &ExportTraceServiceRequest) -> usize {
    request
        .resource_spans
        .iter()
        .flat_map(|resource| &resource.scope_spans)
        .map(|scope| scope.spans.len())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry_proto::tonic::trace::v1::Span;

    fn piece(scopes: &[usize]) -> Piece {
        let mut number = 0;
        let scope_spans = scopes
            .iter()
            .map(|&spans| ScopeSpans {
                spans: (0..spans)
                    .map(|_| {
                        number += 1;
                        Span {
                            name: number.to_string(),
                            ..Span::default()
                        }
                    })
                    .collect(),
                ..ScopeSpans::default()
            })
            .collect();
        let request = ExportTraceServiceRequest {
            resource_spans: vec![ResourceSpans {
                scope_spans,
                ..ResourceSpans::default()
            }],
        };
        Piece {
            spans: count(&request) as u64,
            body: request.encode_to_vec().into(),
        }
    }

    fn names(piece: &Piece) -> String {
        let request = ExportTraceServiceRequest::decode(piece.body.clone()).unwrap();
        let spans = request
            .resource_spans
            .iter()
            .flat_map(|r| &r.scope_spans)
            .flat_map(|s| &s.spans);
        spans
            .map(|span| span.name.clone())
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[test]
    fn halves_hold_every_span_once_and_in_order() {
        for (scopes, first, second) in [
            (&[2][..], "1", "2"),
            (&[1, 4][..], "1 2", "3 4 5"),
            (&[3, 0, 1][..], "1 2", "3 4"),
        ] {
            let halves = piece(scopes).split().unwrap();
            assert_eq!(halves.each_ref().map(names), [first, second]);
            let spans = halves.iter().map(|half| half.spans).sum::<u64>();
            assert_eq!(spans, piece(scopes).spans);
        }
    }

    #[test]
    fn one_span_and_no_span_cannot_be_halved() {
        assert!(piece(&[1]).split().is_none());
        assert!(piece(&[]).split().is_none());
    }

    #[test]
    fn gzip_keeps_the_content() {
        let piece = piece(&[3]);
        let mut plain = Vec::new();
        std::io::Read::read_to_end(
            &mut flate2::read::GzDecoder::new(&piece.encoded(true)[..]),
            &mut plain,
        )
        .unwrap();
        assert_eq!(plain, piece.body);
        assert_eq!(piece.encoded(false), piece.body);
    }
}
