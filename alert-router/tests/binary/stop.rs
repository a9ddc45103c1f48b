//! SIGTERM: what is under way ends well, and within a bound.

use rustix::process::Signal;

use crate::router::{Folder, Router, firing};
use crate::sink::Sink;
use crate::wait::until;

fn config(sink: &Sink) -> String {
    let url = sink.url("/room");
    format!(
        "route: {{receiver: room, group_by: [alertname], group_wait: 50ms, group_interval: 100ms}}\n\
         receivers: [{{name: room, webhook_configs: [{{url: \"{url}\", timeout: 1m}}]}}]\n"
    )
}

async fn takes_no_more(router: &Router) {
    until(
        "the router takes no more connections",
        async || match router.ask("GET", "/-/healthy", "").await {
            Ok(answer) => Err(format!("{answer:?}")),
            Err(_closed) => Ok(()),
        },
    )
    .await;
}

async fn until_told_again(sink: &Sink) {
    until("it is told again", async || {
        let heard = sink.heard("alertname");
        (heard == ["+Stuck", "+Stuck"])
            .then_some(())
            .ok_or(heard.join("; "))
    })
    .await;
}

#[tokio::test]
async fn sigterm_and_sigint_end_an_idle_router_with_code_0() {
    for signal in [Signal::TERM, Signal::INT] {
        let folder = Folder::new();
        let router = folder.start().await;
        router.signal(signal);
        let (code, said) = router.ended().await;
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains("stopped"), "{said}");
    }
}

#[tokio::test]
async fn sigterm_lets_a_slow_delivery_end_and_remembers_that_it_was_heard() {
    let sink = Sink::start().await;
    let folder = Folder::with(&config(&sink));
    let mut router = folder.start().await;
    sink.hold(true);
    router.take(&[firing(&[("alertname", "Slow")])]).await;
    sink.until_heard("alertname", "+Slow").await;
    router.signal(Signal::TERM);
    takes_no_more(&router).await;
    assert!(
        router.runs(),
        "it waits for the delivery: {}",
        router.said()
    );
    sink.hold(false);
    let (code, said) = router.ended().await;
    assert_eq!(code, Some(0), "{said}");

    let router = folder.start().await;
    router.take(&[firing(&[("alertname", "Marker")])]).await;
    sink.until_heard("alertname", "+Marker").await;
    assert_eq!(sink.heard("alertname"), ["+Slow", "+Marker"]);
}

#[tokio::test]
async fn a_receiver_that_never_answers_holds_the_stop_up_only_for_a_while() {
    let sink = Sink::start().await;
    let folder = Folder::with(&config(&sink));
    let router = folder.start().await;
    sink.hold(true);
    router.take(&[firing(&[("alertname", "Stuck")])]).await;
    sink.until_heard("alertname", "+Stuck").await;
    router.signal(Signal::TERM);
    let (code, said) = router.ended().await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("deliveries were still under way"), "{said}");

    // It may have arrived, so it is told again; nothing is lost.
    sink.hold(false);
    let router = folder.start().await;
    until_told_again(&sink).await;
    router.stop().await;
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let sink = Sink::start().await;
    let folder = Folder::with(&config(&sink));
    let router = folder.start().await;
    sink.hold(true);
    router.take(&[firing(&[("alertname", "Stuck")])]).await;
    sink.until_heard("alertname", "+Stuck").await;
    router.signal(Signal::TERM);
    takes_no_more(&router).await;
    router.signal(Signal::INT);
    let (code, said) = router.ended().await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("told a second time to stop"), "{said}");
    let waited = "deliveries were still under way";
    assert!(!said.contains(waited), "it does not wait: {said}");

    // As after a kill, nothing is lost.
    sink.hold(false);
    let router = folder.start().await;
    until_told_again(&sink).await;
    router.stop().await;
}

#[tokio::test]
async fn an_open_page_does_not_hold_the_stop_up() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let folder = Folder::new();
    let router = folder.start().await;
    let mut page = tokio::net::TcpStream::connect(router.address())
        .await
        .unwrap();
    page.write_all(b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await
        .unwrap();
    let mut begin = [0; 12];
    page.read_exact(&mut begin).await.unwrap();
    assert_eq!(&begin, b"HTTP/1.1 200");
    router.signal(Signal::TERM);
    let (code, said) = router.ended().await;
    assert_eq!(code, Some(0), "{said}");
    assert!(!said.contains("not answered in time"), "{said}");
}
