-- The totals of one campaign as fast as they are given.
--     CAMPAIGN=<id> wrk -t2 -c32 -d10s -s loadtest/wrk/totals.lua http://127.0.0.1:8080

local folder = debug.getinfo(1, "S").source:match("^@(.*/)") or "./"
dofile(folder .. "report.lua")

wrk.path = "/api/campaigns/" .. (os.getenv("CAMPAIGN") or error("CAMPAIGN names no campaign")) .. "/totals"
