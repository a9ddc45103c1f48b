//! The gRPC service between shop and stock, written by hand so that nobody needs protoc: what
//! `tonic-build` makes of the lines below. It knows bytes, methods and deadlines, and nothing of goods.
//!
//! ```proto
//! package shop;
//! service Stock {
//!   rpc Reserve(Item) returns (Reserved);
//!   rpc Watch(Item) returns (stream Progress);
//! }
//! message Item     { uint32 item = 1; }
//! message Reserved { }
//! message Progress { string step = 1; }
//! ```

use std::convert::Infallible;
use std::net::SocketAddr;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::HttpBody;
use http::uri::PathAndQuery;
use telemetry_lib::Telemetry;
use telemetry_lib::layers::GrpcClient;
use tokio::sync::mpsc;
use tonic::codegen::tokio_stream::wrappers::ReceiverStream;
use tonic::codegen::{BoxFuture, StdError};
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;
use tower::{Layer, Service, service_fn};

use crate::Failure;

const RESERVE: &str = "/shop.Stock/Reserve";
const WATCH: &str = "/shop.Stock/Watch";
/// Where both are, for a router.
pub(super) const ROUTE: &str = "/shop.Stock/{method}";

/// What a customer waits for an answer of the stock, or for its first message. Above the 0.8 s of a
/// slow stock: that is to be slow, not to fail.
const PATIENCE: Duration = Duration::from_secs(3);

#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(super) struct Item {
    #[prost(uint32, tag = "1")]
    pub(super) item: u32,
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(super) struct Reserved {}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Progress {
    #[prost(string, tag = "1")]
    pub(super) step: String,
}

/// What there is to tell about a delivery, as it comes.
pub(super) type Steps = mpsc::Receiver<Result<Progress, Status>>;

/// Whoever does the work of the two methods.
pub(super) trait Stock: Clone + Send + Sync + 'static {
    fn reserve(self, item: u32) -> impl Future<Output = Result<(), Status>> + Send;
    fn watch(self, item: u32) -> impl Future<Output = Result<Steps, Status>> + Send;
}

/// The server's side: HTTP in, HTTP out.
#[derive(Clone)]
pub(super) struct StockServer<S>(pub(super) S);

impl<S: Stock, B> Service<http::Request<B>> for StockServer<S>
where
    B: HttpBody<Error: Into<StdError> + Send> + Send + 'static,
{
    type Response = http::Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let stock = self.0.clone();
        Box::pin(async move {
            Ok(match request.uri().path() {
                RESERVE => {
                    let reserve = service_fn(move |call: Request<Item>| {
                        let done = stock.clone().reserve(call.into_inner().item);
                        async { done.await.map(|()| Response::new(Reserved {})) }
                    });
                    let mut grpc = tonic::server::Grpc::new(ProstCodec::default());
                    grpc.unary(reserve, request).await
                }
                WATCH => {
                    let watch = service_fn(move |call: Request<Item>| {
                        let steps = stock.clone().watch(call.into_inner().item);
                        async { steps.await.map(|it| Response::new(ReceiverStream::new(it))) }
                    });
                    let mut grpc = tonic::server::Grpc::new(ProstCodec::default());
                    grpc.server_streaming(watch, request).await
                }
                _ => Status::unimplemented("there is Reserve and Watch").into_http(),
            })
        })
    }
}

/// The caller's side. Each call has a span and a metric, and carries the context.
#[derive(Clone)]
pub(super) struct StockClient(GrpcClient<Channel>);

impl StockClient {
    /// Connects with the first call, and again when the connection is lost.
    pub(super) fn new(telemetry: &Telemetry, at: SocketAddr) -> Result<Self, Failure> {
        let channel = Endpoint::from_shared(format!("http://{at}"))?
            .connect_timeout(PATIENCE)
            .connect_lazy();
        let layer = telemetry.grpc_client().server("stock", at.port());
        Ok(Self(layer.layer(channel)))
    }

    pub(super) async fn reserve(&self, item: u32) -> Result<(), Status> {
        let mut grpc = tonic::client::Grpc::new(self.0.clone());
        grpc.ready().await.map_err(Status::from_error)?;
        let path = PathAndQuery::from_static(RESERVE);
        let codec = ProstCodec::<Item, Reserved>::default();
        grpc.unary(within_patience(item), path, codec).await?;
        Ok(())
    }

    pub(super) async fn watch(&self, item: u32) -> Result<Streaming<Progress>, Status> {
        let mut grpc = tonic::client::Grpc::new(self.0.clone());
        grpc.ready().await.map_err(Status::from_error)?;
        let path = PathAndQuery::from_static(WATCH);
        let codec = ProstCodec::<Item, Progress>::default();
        let answer = grpc.server_streaming(within_patience(item), path, codec);
        Ok(answer.await?.into_inner())
    }
}

fn within_patience(item: u32) -> Request<Item> {
    let mut request = Request::new(Item { item });
    request.set_timeout(PATIENCE);
    request
}
