-- Wireshark dissector for amoebacast, wire version 1, unsealed packets. kernel/README.md describes the format.
--
--   tshark -X lua_script:deploy/wireshark/amoebacast.lua -i lo -f 'udp port 52673'
--   Wireshark: copy it into the folder of personal Lua plugins (Help > About > Folders)
--
-- Packets are known by their first byte, and by being as long as a header, on any UDP port, since members choose their
-- ports. The version does not count: of one that is not known here, what is the same in all versions is shown.

local MAGIC = 0xa3
local VERSION = 1
local HEADER_BYTES = 80
local ORDER_HEAD_BYTES = 36
local BLOCK_HEADER_BYTES = 24

local kinds = {
  [1] = "locate", [2] = "hereIs", [3] = "joinRequest", [4] = "joinRefused", [5] = "request", [6] = "order",
  [7] = "repair", [8] = "data", [9] = "state", [10] = "gap", [11] = "requestAck", [12] = "streamData",
  [13] = "streamAck", [14] = "gone", [15] = "left", [16] = "inspect", [17] = "dataGap", [18] = "dataAck",
  [19] = "invite", [20] = "refusal", [21] = "inquiry", [22] = "testimony", [23] = "probe", [24] = "probeAnswer",
  [25] = "expelled", [26] = "slow", [27] = "incompatible",
}
local blockKinds = { [1] = "messages", [2] = "join", [3] = "leave", [4] = "result", [5] = "settings" }
local entryTypes = { [0] = "inline", [1] = "reference" }
local purposes = { [1] = "create", [2] = "join", [3] = "candidate", [4] = "inspect" }
local streamPurposes = { [1] = "joinAnswer", [2] = "inspection", [3] = "vote", [4] = "result" }
local joinRefusals = { [1] = "full", [2] = "challenge", [3] = "notSequencer", [4] = "busy", [5] = "version",
  [6] = "notAuthorized", [7] = "key", [8] = "deciding", [9] = "decided", [10] = "heldUp" }
local rights = { [0] = "all", [1] = "send", [2] = "receive" }
local refusals = { [1] = "promised", [2] = "alive", [3] = "tooFew" }
local leaveReasons = { [0] = "wish", [1] = "slow", [2] = "gone" }

local amoebacast = Proto("amoebacast", "Amoebacast group communication")
local f = {}
local function field(name, make, label, ...)
  f[name] = make("amoebacast." .. name:gsub("_", "."), label, ...)
end

field("version", ProtoField.uint8, "Version")
field("kind", ProtoField.uint8, "Kind", base.DEC, kinds)
field("flags", ProtoField.uint8, "Flags", base.HEX)
field("headerchecksum", ProtoField.bool, "Checksum of the header only", 8, nil, 0x80)
field("checksum", ProtoField.uint32, "Checksum", base.HEX)
field("group", ProtoField.uint64, "Group id", base.HEX)
field("incarnation", ProtoField.uint64, "Incarnation")
field("coordinator", ProtoField.uint64, "Coordinator")
field("sender", ProtoField.uint64, "Sender")
field("nonce", ProtoField.uint64, "Sender nonce", base.HEX)
field("destination", ProtoField.uint64, "Destination nonce", base.HEX)
field("received", ProtoField.uint64, "Received")
field("taken", ProtoField.uint64, "Taken")
field("window", ProtoField.uint32, "Window")
field("newestkey", ProtoField.uint32, "Newest key", base.HEX)
field("agreedversion", ProtoField.uint8, "The group writes version")
field("agreedkey", ProtoField.uint32, "The group seals with key", base.HEX)
field("highest", ProtoField.uint64, "Highest")
field("accepted", ProtoField.uint64, "Accepted")
field("stable", ProtoField.uint64, "Stable")
field("firstseq", ProtoField.uint64, "First seq")
field("entries", ProtoField.uint16, "Entries")
field("ackers", ProtoField.uint16, "Ackers")
field("entry", ProtoField.uint8, "Entry", base.DEC, entryTypes)
field("block_kind", ProtoField.uint8, "Block", base.DEC, blockKinds)
field("block_flags", ProtoField.uint8, "Flags", base.HEX)
field("block_count", ProtoField.uint16, "Messages")
field("block_length", ProtoField.uint32, "Length")
field("block_member", ProtoField.uint64, "Member")
field("block_request", ProtoField.uint64, "First request")
field("block_session", ProtoField.uint64, "Session", base.HEX)
field("block_nonce", ProtoField.uint64, "Nonce of the joiner", base.HEX)
field("block_successor", ProtoField.uint64, "Successor")
field("channel", ProtoField.uint8, "Channel")
field("header", ProtoField.bytes, "Header")
field("body", ProtoField.bytes, "Body")
field("port", ProtoField.string, "Port")
field("purpose", ProtoField.uint8, "Purpose", base.DEC, purposes)
field("lowest", ProtoField.uint8, "Lowest version")
field("highestversion", ProtoField.uint8, "Highest version")
field("sequencer", ProtoField.uint64, "Sequencer")
field("sequencernonce", ProtoField.uint64, "Sequencer nonce", base.HEX)
field("address", ProtoField.string, "Address")
field("name", ProtoField.string, "Name")
field("members", ProtoField.uint16, "Members")
field("maxmembers", ProtoField.uint16, "Members at most")
field("challenge", ProtoField.uint64, "Challenge", base.HEX)
field("role", ProtoField.uint8, "Role")
field("right", ProtoField.uint8, "Right", base.DEC, rights)
field("proof", ProtoField.bytes, "Proof of the right")
field("token", ProtoField.bytes, "Token")
field("request", ProtoField.uint64, "Request")
field("reason", ProtoField.uint8, "Reason")
field("reasontext", ProtoField.string, "Reason")
field("total", ProtoField.uint32, "Total")
field("offset", ProtoField.uint32, "Offset")
field("contiguous", ProtoField.uint32, "Complete up to")
field("range_from", ProtoField.uint32, "Missing from")
field("range_to", ProtoField.uint32, "Missing to (exclusive)")
field("stream", ProtoField.uint32, "Stream")
field("streampurpose", ProtoField.uint8, "Carries", base.DEC, streamPurposes)
field("streamreceived", ProtoField.uint32, "Received of the stream")
field("budget", ProtoField.uint32, "Budget")
field("seq", ProtoField.uint64, "Seq")
field("from", ProtoField.uint64, "From")
field("to", ProtoField.uint64, "To")
field("about", ProtoField.uint64, "About member")
field("answering", ProtoField.uint64, "Members that answer")
field("needed", ProtoField.uint64, "Members needed")
field("alive", ProtoField.bool, "Alive")
field("cookie", ProtoField.uint32, "Cookie", base.HEX)
field("ballot_incarnation", ProtoField.uint64, "Ballot: incarnation")
field("ballot_endincarnation", ProtoField.uint64, "Ballot: incarnation of the log end")
field("ballot_endseq", ProtoField.uint64, "Ballot: log end")
field("ballot_coordinator", ProtoField.uint64, "Ballot: coordinator")
field("lag", ProtoField.uint64, "Messages behind")
field("padding", ProtoField.bytes, "Padding")

local list = {}
for _, one in pairs(f) do list[#list + 1] = one end
amoebacast.fields = list
local malformed = ProtoExpert.new("amoebacast.malformed", "Malformed amoebacast packet",
  expert.group.MALFORMED, expert.severity.ERROR)
amoebacast.experts = { malformed }

-- Reads on from `at`; what does not fit raises a table, which is shown as malformed. A string is an error of this script.
local Reader = {}
Reader.__index = Reader

local function reader(range, at, tree)
  return setmetatable({ range = range, at = at, tree = tree, length = range:len() }, Reader)
end

function Reader:take(bytes)
  if self.at + bytes > self.length then error({ short = true }) end
  local piece = self.range(self.at, bytes)
  self.at = self.at + bytes
  return piece
end

function Reader:number(name, bytes)
  local piece = self:take(bytes)
  self.tree:add(f[name], piece)
  return piece
end

function Reader:u8(name) return self:number(name, 1):uint() end
function Reader:u16(name) return self:number(name, 2):uint() end
function Reader:u32(name) return self:number(name, 4):uint() end
function Reader:u64(name) return self:number(name, 8):uint64() end

function Reader:text(name)
  local length = self:take(2):uint()
  if length == 0 then return "" end
  local piece = self:take(length)
  self.tree:add(f[name], piece, piece:string(ENC_UTF_8))
  return piece:string(ENC_UTF_8)
end

function Reader:blob(name)
  local length = self:take(2):uint()
  if length > 0 then self.tree:add(f[name], self:take(length)) end
end

function Reader:left() return self.length - self.at end

function Reader:rest(name)
  if self.at < self.length then self.tree:add(f[name], self:take(self.length - self.at)) end
end

-- One without bytes is none, but that of a whole that is empty.
function Reader:fragment()
  local total = self:u32("total")
  self:u32("offset")
  if self:left() == 0 and total > 0 then error({ short = true }) end
  self:rest("body")
end

function Reader:versions()
  self:u8("lowest")
  self:u8("highestversion")
end

function Reader:agreed()
  self:u8("agreedversion")
  self:u32("agreedkey")
end

function Reader:reason(names)
  local reason = self:u8("reason")
  self.tree:add(f.reasontext, names[reason] or "?"):set_generated()
end

function Reader:ballot(label)
  if self.at >= self.length then error({ short = true }) end
  local tree = self.tree
  self.tree = tree:add(amoebacast, self.range(self.at, math.min(32, self.length - self.at)), label)
  for _, name in ipairs({ "incarnation", "endincarnation", "endseq", "coordinator" }) do
    self:u64("ballot_" .. name)
  end
  self.tree = tree
end

function Reader:results()
  local count = self:take(2):uint()
  for _ = 1, count do
    self:ballot("Result")
    self:u64("seq")
  end
end

function Reader:leb()
  local value, scale = 0, 1
  for _ = 1, 5 do
    local byte = self:take(1):uint()
    value = value + (byte % 128) * scale
    if byte < 128 then return value end
    scale = scale * 128
  end
  error({ short = true })
end

function Reader:records(count)
  for i = 1, count do
    local tree = self.tree
    local began = self.at
    if began >= self.length then error({ short = true }) end
    self.tree = tree:add(amoebacast, self.range(began, 1), "Message " .. i)
    self:u8("channel")
    local header, body = self:leb(), self:leb()
    if header > 0 then self.tree:add(f.header, self:take(header)) end
    if body > 0 then self.tree:add(f.body, self:take(body)) end
    self.tree:set_len(self.at - began)
    self.tree = tree
  end
end

function Reader:block(isReference)
  local tree = self.tree
  local began = self.at
  if began + BLOCK_HEADER_BYTES > self.length then error({ short = true }) end
  self.tree = tree:add(amoebacast, self.range(began, BLOCK_HEADER_BYTES), "Block")
  local kind = self:u8("block_kind")
  local flags = self:u8("block_flags")
  local count = self:u16("block_count")
  local length = self:u32("block_length")
  local member = self:u64("block_member")
  self:u64("block_request")
  if flags % 2 == 1 then self:u64("block_session") end
  self.tree:append_text(string.format(": %s of member %s", blockKinds[kind] or "?", tostring(member)))
  if not isReference then
    local ends = began + length
    if ends > self.length or ends < self.at then error({ short = true }) end
    -- what stands in the block may not run on into the next one
    local whole = self.length
    self.length = ends
    if kind == 1 then
      self:records(count)
    elseif kind == 2 then
      self:u64("block_nonce")
      self:u8("role")
      self:u8("right")
      self:versions()
      self:text("name")
      self:text("address")
      self:blob("header")
    elseif kind == 3 then
      self:u64("block_successor")
      self:reason(leaveReasons)
      self:blob("header")
    elseif kind == 5 then
      -- one record of five bytes, on a channel that is not the programs'
      self:u8("channel")
      self:leb()
      if self:leb() ~= 5 then error({ short = false }) end
      self:agreed()
    else
      self:rest("body")
    end
    if self:left() > 0 then error({ short = false }) end
    self.length = whole
    self.tree:set_len(length)
  end
  self.tree = tree
end

local function ordered(r)
  r:u64("highest")
  r:u64("accepted")
  r:u64("stable")
  r:u64("firstseq")
  local entries = r:u16("entries")
  r:u16("ackers")
  for _ = 1, entries do r:block(r:u8("entry") == 1) end
end

local function ranges32(r)
  local count = r:take(1):uint()
  for _ = 1, count do
    r:u32("range_from")
    r:u32("range_to")
  end
end

local bodies = {
  locate = function(r)
    r:text("port")
    r:u8("purpose")
    r:versions()
    r:rest("padding")
  end,
  hereIs = function(r)
    r:text("port")
    r:u64("sequencer")
    r:u64("sequencernonce")
    r:text("address")
    r:u16("members")
    r:u16("maxmembers")
    r:u64("challenge")
    r:versions()
    r:agreed()
  end,
  joinRequest = function(r)
    r:text("port")
    r:u64("challenge")
    r:text("name")
    r:text("address")
    r:u8("role")
    r:u8("right")
    r:u64("request")
    r:blob("header")
    r:blob("proof")
    r:blob("token")
    r:versions()
    r:rest("padding")
  end,
  joinRefused = function(r)
    r:reason(joinRefusals)
    r:u64("challenge")
    r:agreed()
  end,
  request = function(r)
    repeat r:block(false) until r:left() == 0
  end,
  order = ordered,
  repair = ordered,
  data = function(r)
    r:u64("block_member")
    r:u64("request")
    r:fragment()
  end,
  gap = function(r)
    r:u32("budget")
    r:take(1)
    local count = r:take(1):uint()
    for _ = 1, count do
      r:u64("from")
      r:u64("to")
    end
  end,
  requestAck = function(r) r:u64("request") end,
  streamData = function(r)
    r:u32("stream")
    r:u8("streampurpose")
    r:fragment()
  end,
  streamAck = function(r)
    r:u32("stream")
    r:u32("streamreceived")
  end,
  left = function(r) r:u64("seq") end,
  inspect = function(r)
    r:text("port")
    r:u64("challenge")
    r:rest("padding")
  end,
  dataGap = function(r)
    r:u64("seq")
    r:u32("budget")
    ranges32(r)
  end,
  dataAck = function(r)
    r:u64("request")
    r:u32("contiguous")
    ranges32(r)
  end,
  invite = function(r)
    r:ballot("Ballot")
    r:u64("seq")
    r:results()
  end,
  refusal = function(r)
    r:reason(refusals)
    r:ballot("Refused")
    r:ballot("Promised")
    if r:left() > 0 then
      r:u64("answering")
      r:u64("needed")
      r:u64("about")
    end
  end,
  inquiry = function(r) r:u64("about") end,
  testimony = function(r)
    r:u64("about")
    r:u8("alive")
  end,
  probe = function(r) r:u32("cookie") end,
  probeAnswer = function(r) r:u32("cookie") end,
  expelled = function(r) r:results() end,
  slow = function(r)
    r:u64("taken")
    r:u64("lag")
    local count = r:take(2):uint()
    for _ = 1, count do r:u64("about") end
  end,
  -- the same in all versions: two bytes, and whatever a later one has behind them
  incompatible = function(r)
    r:versions()
    r:rest("body")
  end,
  state = function() end,
  gone = function() end,
}

local function isOurs(range)
  return range:len() >= HEADER_BYTES and range(0, 1):uint() == MAGIC
end

-- The two that are read in every version.
local bodiesOfAll = {
  locate = function(r)
    r:text("port")
    r:rest("body")
  end,
  incompatible = bodies.incompatible,
}

local function header(r)
  local flags = r:take(1)
  r.tree:add(f.flags, flags)
  r.tree:add(f.headerchecksum, flags)
  r:u32("checksum")
  r:u64("group")
  r:u64("incarnation")
  r:u64("coordinator")
  local sender = r:u64("sender")
  r:u64("nonce")
  r:u64("destination")
  r:u64("received")
  r:u64("taken")
  r:u32("window")
  r:u32("newestkey")
  return sender
end

-- What else stands in it may mean something else in another version.
local function headerOfAll(r)
  r.at = 4
  r:u32("checksum")
  r.at = 40
  r:u64("nonce")
  r:u64("destination")
  r.at = HEADER_BYTES
end

function amoebacast.dissector(range, info, root)
  if not isOurs(range) then return 0 end
  local tree = root:add(amoebacast, range(), "Amoebacast")
  info.cols.protocol = "AMOEBACAST"
  local r = reader(range, 1, tree)
  local version = r:u8("version")
  local kind = r:u8("kind")
  local name = kinds[kind] or ("kind " .. kind)
  local read
  if version == VERSION then
    info.cols.info = string.format("%s from %s", name, tostring(header(r)))
    read = bodies[name]
  else
    headerOfAll(r)
    info.cols.info = string.format("%s in another version, %d", name, version)
    read = bodiesOfAll[name]
  end
  tree:append_text(", " .. name)
  if read == nil then
    r:rest("body")
    return range:len()
  end
  local isRead, problem = pcall(read, r)
  if isRead and r.at < r.length then isRead, problem = false, { short = false } end
  if not isRead then
    if type(problem) ~= "table" then error(problem) end
    tree:add_proto_expert_info(malformed)
    info.cols.info:append(" (malformed)")
  end
  return range:len()
end

amoebacast:register_heuristic("udp", function(range, info, root)
  if not isOurs(range) then return false end
  amoebacast.dissector(range, info, root)
  return true
end)
DissectorTable.get("udp.port"):add(52673, amoebacast)
