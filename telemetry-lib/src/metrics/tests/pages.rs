//! Pages that nobody reads.

use super::*;

#[test]
fn of_pages_that_nobody_reads_only_sixteen_are_held() {
    let (metrics, _) = metrics(100);
    let mut zipped = HeaderMap::new();
    zipped.insert("accept-encoding", "gzip".parse().unwrap());
    let ask = |number: usize| match number % 2 {
        0 => metrics.render(&HeaderMap::new()),
        _ => metrics.render(&zipped),
    };
    let mut held: Vec<_> = (0..16).map(ask).collect();
    assert!(held.iter().all(|page| page.status() == 200));
    for number in 0..100 {
        let refused = ask(number);
        assert_eq!(refused.status(), 503);
        assert_eq!(refused.headers()["retry-after"], "1");
        assert!(refused.body().len() < 100);
    }
    // Part of a page is all of it.
    let part = held.pop().unwrap().into_body().slice(..1);
    assert_eq!(ask(0).status(), 503);
    drop(part);
    assert_eq!(ask(0).status(), 200);
    assert_eq!(ask(0).status(), 200, "that one was sent");
}
