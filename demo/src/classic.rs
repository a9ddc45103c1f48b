//! Where Prometheus shows its pages: Debian builds it without the web application that has them elsewhere,
//! and keeps those of before it under `/classic`.

use std::net::SocketAddr;

use crate::http::Client;
use crate::stage::Board;

/// Leads the links of the board to the pages that there are.
pub(crate) async fn find_pages(client: &Client, prometheus: SocketAddr, board: &Board) {
    let answers = async |path| {
        let answer = client.get(prometheus, path).await;
        answer.is_ok_and(|answer| answer.is_success())
    };
    if answers("/alerts").await || !answers("/classic/alerts").await {
        return;
    }
    let (root, classic) = (
        format!("http://{prometheus}/"),
        format!("http://{prometheus}/classic/"),
    );
    board.send_modify(|parts| {
        let links = parts.iter_mut().flat_map(|part| &mut part.links);
        for (_, url) in links {
            if let Some(page) = url.strip_prefix(&root) {
                *url = format!("{classic}{page}");
            }
        }
    });
}
