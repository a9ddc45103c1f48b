//! The way out: roots, proxies, deadlines, and what an error may name.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::receiver::scripted::{Reply, Server};

fn trust(pem: &str) -> Trust {
    Trust {
        ca_pem: Some(pem.into()),
        server_name: None,
    }
}

fn get(url: Url) -> Call {
    Call {
        method: Method::GET,
        url,
        headers: HeaderMap::new(),
        body: Bytes::new(),
        deadline: Duration::from_secs(10),
    }
}

fn proxy(url: &str) -> SecretUrl {
    SecretUrl::new(Url::parse(url).unwrap())
}

/// A server for one connection with a certificate for `localhost`; its port, and the certificate.
async fn tls_server() -> (u16, String) {
    let key = rcgen::KeyPair::generate().unwrap();
    let names = vec!["localhost".to_owned()];
    let certificate = rcgen::CertificateParams::new(names)
        .unwrap()
        .self_signed(&key)
        .unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let secret = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], secret)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let Ok(mut stream) = acceptor.accept(stream).await else {
            return;
        };
        let mut request = [0; 1024];
        let _ = stream.read(&mut request).await;
        let answer = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";
        let _ = stream.write_all(answer.as_bytes()).await;
        let _ = stream.shutdown().await;
    });
    (port, certificate.pem())
}

#[tokio::test]
async fn a_root_from_the_config_is_trusted_and_others_are_not() {
    let (port, pem) = tls_server().await;
    let url = |port: u16| Url::parse(&format!("https://localhost:{port}/?key=planted")).unwrap();
    let client = HttpClient::new(None, &trust(&pem)).unwrap();
    assert_eq!(client.call(get(url(port))).await.unwrap().body, b"ok");
    let (port, _) = tls_server().await;
    let error = client.call(get(url(port))).await.unwrap_err();
    assert!(matches!(error, HttpError::Connect { .. }), "{error}");
    let said = error.to_string();
    assert!(
        said.contains("localhost") && said.contains("certificate"),
        "{said}"
    );
    assert!(!said.contains("planted"), "{said}");
}

#[tokio::test]
async fn https_goes_through_a_proxy_as_a_tunnel_with_its_credentials() {
    let server = Server::start(|_, _| Reply::Http("502 Bad Gateway", String::new())).await;
    let mut url = server.url("/");
    url.set_username("user").unwrap();
    url.set_password(Some("planted")).unwrap();
    let client = HttpClient::new(Some(&SecretUrl::new(url)), &Trust::default()).unwrap();
    let far = Url::parse("https://hooks.example.com/x?key=planted").unwrap();
    let error = client.call(get(far)).await.unwrap_err();
    assert!(matches!(error, HttpError::Connect { .. }), "{error}");
    assert!(!error.to_string().contains("planted"), "{error}");
    let head = server.seen()[0].head.to_ascii_lowercase();
    assert!(
        head.starts_with("connect hooks.example.com:443 http/1.1"),
        "{head}"
    );
    assert!(head.contains("proxy-authorization: basic "), "{head}");
}

#[test]
fn every_kind_of_proxy_can_be_configured() {
    for url in [
        "http://p:3128",
        "https://p:3129",
        "socks5://p:1080",
        "socks5h://u:p@p:1080",
    ] {
        assert!(
            HttpClient::new(Some(&proxy(url)), &Trust::default()).is_ok(),
            "{url}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_ends_at_its_deadline() {
    let server = Server::start(|_, _| Reply::Hang).await;
    let client = HttpClient::new(None, &Trust::default()).unwrap();
    let error = client
        .call(get(server.url("/?key=planted")))
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "no answer from 127.0.0.1 within 10s");
}

/// Answers every request of every connection and closes none; returns how many there were.
async fn keeper() -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let connections = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&connections);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(async move {
                let mut request = [0; 1024];
                while stream.read(&mut request).await.is_ok_and(|n| n > 0) {
                    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
                    let _ = stream.write_all(answer).await;
                }
            });
        }
    });
    (port, connections)
}

#[tokio::test]
async fn no_connection_outlives_its_request() {
    let (port, connections) = keeper().await;
    let client = HttpClient::new(None, &Trust::default()).unwrap();
    for calls in 1..=3 {
        let url = Url::parse(&format!("http://127.0.0.1:{port}/")).unwrap();
        client.call(get(url)).await.unwrap();
        // Else the next call has time to find the connection of this one.
        tokio::task::yield_now().await;
        assert_eq!(connections.load(Ordering::SeqCst), calls);
    }
}

#[tokio::test]
async fn a_closed_port_is_a_connection_that_was_never_made() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let client = HttpClient::new(None, &Trust::default()).unwrap();
    let url = Url::parse(&format!("http://127.0.0.1:{port}/?key=planted")).unwrap();
    let error = client.call(get(url)).await.unwrap_err();
    assert!(matches!(error, HttpError::Connect { .. }), "{error}");
    assert!(!error.to_string().contains("planted"), "{error}");
}

#[test]
fn a_name_that_differs_from_the_host_is_refused_with_what_to_do() {
    let trust = Trust {
        ca_pem: None,
        server_name: Some("other".into()),
    };
    let error = HttpClient::new(None, &trust).err().unwrap();
    assert_eq!(
        error.to_string(),
        "tls_config.server_name is not supported here: use a URL whose host is the name in the certificate"
    );
}

#[test]
fn a_wait_is_said_in_seconds_or_as_a_date_of_the_servers_clock() {
    const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    let hour = Some(MAX_RETRY_AFTER);
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    let cases = [
        ("120", None, seconds(120)),
        (" 7 ", Some(DATE), seconds(7)),
        ("99999", None, hour),
        ("99999999999999999999999", Some(DATE), None),
        ("-1", Some(DATE), None),
        ("1.5", Some(DATE), None),
        ("", Some(DATE), None),
        ("soon", Some(DATE), None),
        ("Sun, 06 Nov 1994 08:50:07 GMT", Some(DATE), seconds(30)),
        ("Sunday, 06-Nov-94 08:50:07 GMT", Some(DATE), seconds(30)),
        ("Sun Nov  6 08:50:07 1994", Some(DATE), seconds(30)),
        ("Sun, 06 Nov 1994 08:49:00 GMT", Some(DATE), seconds(0)),
        ("Mon, 07 Nov 1994 08:49:37 GMT", Some(DATE), hour),
        ("Sun, 06 Nov 1994 08:50:07 GMT", None, None),
        ("Sun, 06 Nov 1994 08:50:07 GMT", Some("today"), None),
    ];
    for (value, date, wanted) in cases {
        let mut headers = HeaderMap::new();
        headers.insert(header::RETRY_AFTER, value.parse().unwrap());
        if let Some(date) = date {
            headers.insert(header::DATE, date.parse().unwrap());
        }
        assert_eq!(retry_after(&headers), wanted, "{value:?} {date:?}");
    }
}
