-- Gifts as fast as they are taken: POST /api/pledges with a new Idempotency-Key each time.
--     CAMPAIGN=<id> wrk -t2 -c32 -d10s -s loadtest/wrk/pledges.lua http://127.0.0.1:8080

local folder = debug.getinfo(1, "S").source:match("^@(.*/)") or "./"
dofile(folder .. "report.lua")

local campaign = os.getenv("CAMPAIGN") or error("CAMPAIGN names no campaign")
local threads = 0

-- Each thread has a Lua state of its own, so each is given a number to keep its keys apart.
function setup(thread)
  thread:set("number", threads)
  threads = threads + 1
end

local run = os.time() % 0x100000000
local count = 0
local before, after

function init()
  local host = wrk.headers["Host"] or (wrk.host .. ":" .. (wrk.port or 80))
  local body = '{"campaign_id":"' .. campaign .. '","amount":{"amount":2500,"currency":"USD"},'
    .. '"donor":{"name":"Load","email":"load@example.org"},"visibility":"PUBLIC"}'
  before = "POST /api/pledges HTTP/1.1\r\nHost: " .. host
    .. "\r\nContent-Type: application/json\r\nContent-Length: " .. #body .. "\r\nIdempotency-Key: "
  after = "\r\n\r\n" .. body
end

-- The key has the form of a UUID of version 4 and holds the run, the thread and a count.
function request()
  count = count + 1
  return before .. string.format("%08x-%04x-4000-8000-%012x", run, number, count) .. after
end
