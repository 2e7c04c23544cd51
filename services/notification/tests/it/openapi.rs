use serde_json::Value;

#[test]
fn every_operation_describes_its_problems_and_none_is_unsafe() {
    let document: Value =
        serde_json::from_str(&notification::openapi().to_json().unwrap()).unwrap();
    let paths = document["paths"].as_object().unwrap();
    let described: Vec<_> = paths.keys().map(String::as_str).collect();
    assert_eq!(
        described,
        ["/api/admin/notifications/deliveries", "/api/ws"]
    );
    for (path, operations) in paths {
        let methods: Vec<_> = operations.as_object().unwrap().keys().collect();
        assert_eq!(methods, ["get"], "{path}");
        assert!(operations["get"]["responses"]["503"].is_object(), "{path}");
    }
}
