use serde_json::Value;

#[test]
fn every_unsafe_operation_says_why_it_takes_no_idempotency_key() {
    let document: Value = serde_json::from_str(&user::openapi().to_json().unwrap()).unwrap();
    let paths = document["paths"].as_object().unwrap();
    let described: Vec<_> = paths.keys().map(String::as_str).collect();
    assert_eq!(
        described,
        [
            "/.well-known/jwks.json",
            "/api/auth/login",
            "/api/auth/logout",
            "/api/auth/refresh",
            "/api/auth/register",
            "/api/users/login",
            "/api/users/me",
            "/api/users/register",
        ]
    );
    for (path, operations) in paths {
        for (method, operation) in operations.as_object().unwrap() {
            assert!(
                operation["responses"]["503"].is_object(),
                "{path} describes its problems"
            );
            if method != "get" {
                assert!(
                    operation["x-idempotent-because"].is_string(),
                    "{method} {path}"
                );
            }
        }
    }
}
