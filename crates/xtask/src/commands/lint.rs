pub fn lint() -> anyhow::Result<bool> { Ok(true) }
