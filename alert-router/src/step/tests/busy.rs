//! What a person asks of a step that has too much to do is answered at once.

use super::*;

#[tokio::test]
async fn a_full_queue_is_said_and_not_waited_for() {
    let server = Server::start(|_, _| Reply::Ok(String::new())).await;
    let bench = Bench::new(&one_hook(&server)).await;
    let group = GroupId([0; 16]);
    for _ in 0..WAITING {
        let (answer, _nobody) = oneshot::channel();
        let groups = vec![group];
        bench.handle.put(Command::Seen { groups, answer }).unwrap();
    }
    assert!(matches!(
        bench.handle.seen(vec![group]).await,
        Err(Busy::Queue)
    ));
    let replayed = bench.handle.replay(Vec::new()).await;
    assert!(matches!(replayed, Err(Busy::Queue)));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_does_not_come_is_not_waited_for() {
    let (sender, _commands) = mpsc::channel(2);
    let handle = StepHandle(sender);
    assert!(matches!(handle.seen(Vec::new()).await, Err(Busy::Slow)));
    assert!(matches!(handle.replay(Vec::new()).await, Err(Busy::Slow)));
}

#[tokio::test]
async fn a_step_that_is_gone_is_said() {
    let (sender, commands) = mpsc::channel(1);
    let handle = StepHandle(sender);
    drop(commands);
    assert!(matches!(handle.seen(Vec::new()).await, Err(Busy::Stopping)));
}
