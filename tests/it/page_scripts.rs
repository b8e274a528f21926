//! `?jsonp=`: pages as scripts that call a function, of the embedded cluster as of a real one.

use serde_json::Value;

use crate::cluster::Cluster;
use crate::http::get;

#[tokio::test]
async fn pages_become_scripts_that_call_what_jsonp_names() {
    let cluster = Cluster::start().await;
    let master = cluster.address();
    let state = get(&master, "/state").await.json();
    let pid = state["slaves"][0]["pid"].as_str().unwrap();
    let (process, agent) = pid.split_once('@').unwrap();
    let own = format!("/{process}/state");
    for (address, page) in [
        (&*master, "/state"),
        (&master, "/master/slaves"),
        (&master, "/roles"),
        (&master, "/tasks"),
        (agent, &own),
    ] {
        for (query, function) in [
            ("jsonp=f", "f"),
            ("jsonp", ""),
            ("jsonp=f&x=y&jsonp=a%2Eb(%2b", "a.b(+"),
        ] {
            let page = format!("{page}?{query}");
            let script = get(address, &page).await;
            assert_eq!(script.header("content-type"), Some("text/javascript"));
            let called = script.text().strip_prefix(&format!("{function}("));
            let json = called.and_then(|rest| rest.strip_suffix(')'));
            let json: Value = serde_json::from_str(json.expect(&page)).expect(&page);
            assert!(json.is_object(), "{page}");
        }
    }
    assert!(get(&master, "/tasks?JSONP=f").await.json().is_object());
    let health = get(&master, "/health?jsonp=f").await;
    assert_eq!((health.status, health.text()), (200, ""));
    cluster.shutdown().await;
}
