-- Posts one create request again and again. Arguments after `--`: the body's file, and, where the mock asks for
-- tokens, a file with the AppJWT in its first line and one ConsumerJWS in each other line, each used once.

local function read(path)
  local file = assert(io.open(path))
  local text = file:read("*a")
  file:close()
  return text
end

local head, tail
local consumers, position = {}, 0

local function next_request()
  position = position % #consumers + 1
  return head .. consumers[position] .. tail
end

function init(args)
  wrk.method = "POST"
  wrk.body = read(args[1])
  wrk.headers["Content-Type"] = "application/json"
  if not args[2] then
    return
  end
  for line in io.lines(args[2]) do
    if wrk.headers["Authorization"] then
      consumers[#consumers + 1] = line
    else
      wrk.headers["Authorization"] = line
    end
  end
  wrk.headers["X-LP-ON-BEHALF"] = "@consumer@"
  local whole = wrk.format()
  local from, to = whole:find("@consumer@", 1, true)
  head, tail = whole:sub(1, from - 1), whole:sub(to + 1)
  request = next_request
end
