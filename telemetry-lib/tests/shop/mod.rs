//! A gRPC service of tonic, written by hand so that no protoc is needed, and clients for it: over a
//! real socket, through tonic's own channel or through a bare HTTP/2 connection without any timer.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::response::IntoResponse;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, Stream, StreamExt};
use hyper_util::rt::{TokioExecutor, TokioIo};
use telemetry_lib::layers::{GrpcClient, GrpcClientLayer, GrpcServerLayer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tonic::body::Body;
use tonic::codegen::StdError;
use tonic::server::NamedService;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Code, Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;
use tower::{Layer, Service, service_fn};

/// The one message of the service.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Text {
    #[prost(string, tag = "1")]
    pub(crate) text: String,
}

/// Does what the text of a message says.
#[derive(Clone, Default)]
pub(crate) struct Shop {
    /// Told when a handler begins to wait for ever.
    pub(crate) waits: Arc<Notify>,
    /// Where `Relay` asks.
    pub(crate) next: Option<Instrumented<Channel>>,
}

pub(crate) type Instrumented<C> = GrpcClient<C>;
type Messages = Pin<Box<dyn Stream<Item = Result<Text, Status>> + Send>>;

pub(crate) fn text(text: &str) -> Text {
    Text {
        text: text.to_owned(),
    }
}

impl Shop {
    async fn get(self, request: Request<Text>) -> Result<Response<Text>, Status> {
        match request.get_ref().text.as_str() {
            "missing" => Err(Status::not_found("no such thing")),
            "broken" => Err(Status::internal("it broke")),
            "panic" => panic!("in a method"),
            "waits" => {
                self.waits.notify_one();
                std::future::pending().await
            }
            other => match other.strip_prefix("code ").map(str::parse) {
                Some(code) => Err(Status::new(Code::from_i32(code.unwrap()), "as asked")),
                None => Ok(Response::new(text(other))),
            },
        }
    }

    async fn watch(self, request: Request<Text>) -> Result<Response<Messages>, Status> {
        let three = || stream::iter(["1", "2", "3"].map(|it| Ok(text(it))));
        let messages: Messages = match request.get_ref().text.as_str() {
            "fails" => {
                let failure = Err(Status::data_loss("the third is gone"));
                Box::pin(three().take(2).chain(stream::iter([failure])))
            }
            "endless" => Box::pin(three().chain(stream::pending())),
            _ => Box::pin(three()),
        };
        Ok(Response::new(messages))
    }

    async fn collect(self, request: Request<Streaming<Text>>) -> Result<Response<Text>, Status> {
        let mut messages = request.into_inner();
        let mut all = String::new();
        while let Some(message) = messages.message().await? {
            all.push_str(&message.text);
        }
        Ok(Response::new(text(&all)))
    }

    /// Asks the next server, as services do.
    async fn relay(self, request: Request<Text>) -> Result<Response<Text>, Status> {
        let Some(next) = self.next else {
            return self.get(request).await;
        };
        tokio::task::yield_now().await;
        let method = request.metadata().get("then").map(|_| "Relay");
        unary(next, method.unwrap_or("Get"), request.into_inner()).await
    }
}

impl NamedService for Shop {
    const NAME: &'static str = "test.Shop";
}

/// What tonic's generator would write.
impl<B> Service<http::Request<B>> for Shop
where
    B: http_body::Body + Send + 'static,
    B::Error: Into<StdError> + Send,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let shop = self.clone();
        let mut grpc = tonic::server::Grpc::new(ProstCodec::<Text, Text>::default());
        let path = request.uri().path().to_owned();
        Box::pin(async move {
            Ok(match path.as_str() {
                "/test.Shop/Get" => {
                    let method = service_fn(move |it| shop.clone().get(it));
                    grpc.unary(method, request).await
                }
                "/test.Shop/Relay" => {
                    let method = service_fn(move |it| shop.clone().relay(it));
                    grpc.unary(method, request).await
                }
                "/test.Shop/Watch" => {
                    let method = service_fn(move |it| shop.clone().watch(it));
                    grpc.server_streaming(method, request).await
                }
                "/test.Shop/Collect" => {
                    let method = service_fn(move |it| shop.clone().collect(it));
                    grpc.client_streaming(method, request).await
                }
                _ => Status::unimplemented("").into_http(),
            })
        })
    }
}

/// A server on a free port of loopback.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    server: JoinHandle<()>,
}

impl Running {
    /// `shop` may stand behind an interceptor.
    pub(crate) async fn start<S>(layer: GrpcServerLayer, shop: S) -> Self
    where
        S: Service<http::Request<Body>, Error = Infallible, Response: IntoResponse>,
        S: NamedService + Clone + Send + Sync + 'static,
        S::Future: Send + 'static,
    {
        let incoming = TcpIncoming::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = incoming.local_addr().unwrap();
        let mut server = Server::builder().layer(layer);
        let serving = server.add_service(shop).serve_with_incoming(incoming);
        let server = tokio::spawn(async move { serving.await.unwrap() });
        Self { address, server }
    }

    /// Any service that hyper can serve over HTTP/2, without tonic around it.
    pub(crate) async fn start_bare(router: axum::Router) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, server }
    }

    pub(crate) fn channel(&self, layer: GrpcClientLayer) -> Instrumented<Channel> {
        layer.layer(self.endpoint().connect_lazy())
    }

    pub(crate) fn endpoint(&self) -> Endpoint {
        Endpoint::from_shared(format!("http://{}", self.address)).unwrap()
    }

    /// A connection that keeps no time and cancels nothing by itself.
    pub(crate) async fn patient(
        &self,
        layer: GrpcClientLayer,
    ) -> impl Service<
        http::Request<Body>,
        Response = http::Response<
            impl http_body::Body<Data = bytes::Bytes, Error: Into<StdError> + Send> + Send + 'static,
        >,
        Error = StdError,
        Future: Send,
    > + Clone
    + Send
    + 'static {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let io = TokioIo::new(stream);
        let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), io);
        let (sender, connection) = handshake.await.unwrap();
        tokio::spawn(connection);
        let authority = self.address.to_string();
        layer.layer(service_fn(move |mut request: http::Request<Body>| {
            let uri = http::Uri::builder()
                .scheme("http")
                .authority(authority.as_str())
                .path_and_query(request.uri().path())
                .build();
            *request.uri_mut() = uri.unwrap();
            let mut sender = sender.clone();
            async move { sender.send_request(request).await }
        }))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn ready<C, B>(client: C) -> Result<tonic::client::Grpc<C>, Status>
where
    C: Service<http::Request<Body>, Response = http::Response<B>, Error: Into<StdError>>,
    B: http_body::Body<Data = bytes::Bytes, Error: Into<StdError> + Send> + Send + 'static,
{
    let mut grpc = tonic::client::Grpc::new(client);
    let ready = grpc.ready().await;
    ready.map_err(|error| Status::from_error(error.into()))?;
    Ok(grpc)
}

/// Calls a method that takes one message and gives one.
pub(crate) async fn unary<C, B>(
    client: C,
    method: &str,
    request: impl tonic::IntoRequest<Text>,
) -> Result<Response<Text>, Status>
where
    C: Service<http::Request<Body>, Response = http::Response<B>, Error: Into<StdError>>,
    B: http_body::Body<Data = bytes::Bytes, Error: Into<StdError> + Send> + Send + 'static,
{
    let path = path(method);
    let mut grpc = ready(client).await?;
    grpc.unary(request.into_request(), path, ProstCodec::default())
        .await
}

/// Calls a method that answers with a stream.
pub(crate) async fn watch<C, B>(client: C, what: &str) -> Result<Streaming<Text>, Status>
where
    C: Service<http::Request<Body>, Response = http::Response<B>, Error: Into<StdError>>,
    B: http_body::Body<Data = bytes::Bytes, Error: Into<StdError> + Send> + Send + 'static,
{
    let mut grpc = ready(client).await?;
    let request = Request::new(text(what));
    let codec = ProstCodec::<Text, Text>::default();
    let response = grpc.server_streaming(request, path("Watch"), codec).await?;
    Ok(response.into_inner())
}

/// Calls the method that takes a stream.
pub(crate) async fn collect<C, B>(client: C, parts: &[&str]) -> Result<Response<Text>, Status>
where
    C: Service<http::Request<Body>, Response = http::Response<B>, Error: Into<StdError>>,
    B: http_body::Body<Data = bytes::Bytes, Error: Into<StdError> + Send> + Send + 'static,
{
    let mut grpc = ready(client).await?;
    let parts: Vec<Text> = parts.iter().map(|it| text(it)).collect();
    let codec = ProstCodec::<Text, Text>::default();
    grpc.client_streaming(Request::new(stream::iter(parts)), path("Collect"), codec)
        .await
}

/// A request that may take so long.
pub(crate) fn within(limit: Duration, what: &str) -> Request<Text> {
    let mut request = Request::new(text(what));
    request.set_timeout(limit);
    request
}

/// `Method` of the shop, or `Service/Method` of another one.
fn path(method: &str) -> http::uri::PathAndQuery {
    let path = match method.contains('/') {
        true => format!("/{method}"),
        false => format!("/test.Shop/{method}"),
    };
    path.parse().unwrap()
}
