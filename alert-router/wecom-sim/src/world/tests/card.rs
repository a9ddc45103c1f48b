//! Template cards.

use super::*;

fn notice() -> Value {
    json!({
        "card_type": "text_notice",
        "main_title": { "title": "DiskFull", "desc": "prod" },
        "card_action": { "type": 1, "url": "https://g.example" },
    })
}

fn news() -> Value {
    let mut card = notice();
    card["card_type"] = "news_notice".into();
    card["card_image"] = json!({ "url": "https://g.example/x.png" });
    card
}

fn buttons() -> Value {
    json!({
        "card_type": "button_interaction",
        "main_title": { "title": "DiskFull" },
        "task_id": "g-4f2a@17",
        "button_list": [{ "text": "确认", "style": 1, "key": "ack:4f2a" }],
    })
}

fn set(mut card: Value, pointer: &str, value: Value) -> Value {
    let (parent, field) = pointer.rsplit_once('/').unwrap();
    card.pointer_mut(parent).unwrap()[field] = value;
    card
}

#[track_caller]
fn check_bot(card: Value, expected: i64) {
    assert_eq!(
        Bench::new().bot(KEY, &message("template_card", card)),
        expected
    );
}

fn app_body(card: Value) -> Value {
    let mut body = message("template_card", card);
    body["touser"] = "wangqing".into();
    body["agentid"] = 1_000_002.into();
    body
}

#[track_caller]
fn check_app(card: Value, expected: i64) {
    assert_eq!(code(&Bench::new().app(&app_body(card))), expected);
}

#[test]
fn a_text_notice_needs_a_title_and_an_action() {
    check_bot(notice(), 0);
    check_bot(set(notice(), "/main_title", Value::Null), 40058);
    check_bot(set(notice(), "/main_title/title", "".into()), 40058);
    let untitled = set(notice(), "/main_title/title", "".into());
    check_bot(set(untitled, "/sub_title_text", "x".into()), 0);
    check_bot(set(notice(), "/card_action", Value::Null), 40058);
    check_bot(set(notice(), "/card_action/type", 0.into()), 40058);
    check_bot(set(notice(), "/card_action/url", "".into()), 40058);
    check_bot(
        set(notice(), "/card_action", json!({ "type": 2, "appid": "x" })),
        0,
    );
    check_bot(set(notice(), "/card_type", "poster".into()), 40058);
    check_bot(set(notice(), "/main_title", "text".into()), 40058);
}

#[test]
fn a_news_notice_needs_a_title_and_a_picture() {
    check_bot(news(), 0);
    check_bot(set(news(), "/main_title/title", "".into()), 40058);
    check_bot(set(news(), "/card_image", Value::Null), 40058);
    let text_area = set(news(), "/card_image", Value::Null);
    check_bot(
        set(
            text_area,
            "/image_text_area",
            json!({ "image_url": "https://x" }),
        ),
        0,
    );
}

#[test]
fn lists_have_lengths_and_required_fields() {
    let list = |length: usize, item: Value| Value::from(vec![item; length]);
    let pair = json!({ "keyname": "k", "value": "v" });
    check_bot(
        set(notice(), "/horizontal_content_list", list(6, pair.clone())),
        0,
    );
    check_bot(
        set(notice(), "/horizontal_content_list", list(7, pair)),
        40058,
    );
    for (kind, field) in [(1, "url"), (2, "media_id"), (3, "userid")] {
        let bare = json!({ "keyname": "k", "type": kind });
        let full = json!({ "keyname": "k", "type": kind, field: "x" });
        check_bot(
            set(notice(), "/horizontal_content_list", list(1, bare)),
            40058,
        );
        check_bot(set(notice(), "/horizontal_content_list", list(1, full)), 0);
    }
    check_bot(
        set(
            notice(),
            "/horizontal_content_list",
            list(1, json!({ "value": "v" })),
        ),
        40058,
    );
    let jump = json!({ "type": 1, "title": "t", "url": "https://x" });
    check_bot(set(notice(), "/jump_list", list(3, jump.clone())), 0);
    check_bot(set(notice(), "/jump_list", list(4, jump)), 40058);
    check_bot(
        set(
            notice(),
            "/jump_list",
            list(1, json!({ "type": 1, "title": "t" })),
        ),
        40058,
    );
    check_bot(
        set(
            notice(),
            "/jump_list",
            list(1, json!({ "type": 1, "url": "u" })),
        ),
        40058,
    );
    check_bot(
        set(
            news(),
            "/vertical_content_list",
            list(4, json!({ "title": "t" })),
        ),
        0,
    );
    check_bot(
        set(
            news(),
            "/vertical_content_list",
            list(5, json!({ "title": "t" })),
        ),
        40058,
    );
    check_bot(set(notice(), "/source", json!({ "desc_color": 4 })), 40058);
}

#[test]
fn buttons_belong_to_applications() {
    check_bot(buttons(), 40058);
    check_app(buttons(), 0);
    let button = |key: &str| json!({ "text": "b", "key": key });
    let six: Vec<Value> = (0..6).map(|n| button(&n.to_string())).collect();
    let seven: Vec<Value> = (0..7).map(|n| button(&n.to_string())).collect();
    check_app(set(buttons(), "/button_list", six.into()), 0);
    check_app(set(buttons(), "/button_list", seven.into()), 40058);
    check_app(set(buttons(), "/button_list", json!([])), 40058);
    check_app(
        set(buttons(), "/button_list", json!([button("a"), button("a")])),
        40058,
    );
    check_app(
        set(
            buttons(),
            "/button_list",
            json!([button(&"k".repeat(1024))]),
        ),
        0,
    );
    check_app(
        set(
            buttons(),
            "/button_list",
            json!([button(&"k".repeat(1025))]),
        ),
        40058,
    );
    check_app(set(buttons(), "/task_id", "".into()), 40058);
    check_app(set(buttons(), "/task_id", "a b".into()), 40058);
    check_app(set(buttons(), "/task_id", "t".repeat(128).into()), 0);
    check_app(set(buttons(), "/task_id", "t".repeat(129).into()), 40058);
    check_app(
        set(
            notice(),
            "/action_menu",
            json!({ "action_list": [{ "text": "x" }] }),
        ),
        40058,
    );
}

#[test]
fn a_task_id_names_one_card_and_interactive_cards_can_be_changed() {
    let mut bench = Bench::new();
    let answer = bench.app(&app_body(buttons()));
    assert!(answer["response_code"].is_string(), "{answer}");
    assert_eq!(code(&bench.app(&app_body(buttons()))), 40058);
    assert!(bench.app(&app_body(notice()))["response_code"].is_null());
}
