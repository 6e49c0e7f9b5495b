-- Copyright The netbaseline Authors.
-- SPDX-License-Identifier: Apache-2.0

-- A NetworkBaseline's health is its Ready condition. Scripts in argocd-cm have no string library: none is used.

local function progressing(message)
  return { status = "Progressing", message = message }
end

if obj.metadata.deletionTimestamp ~= nil then
  return progressing("Being deleted: its policies are removed in order")
end

local status = obj.status or {}
if status.observedGeneration ~= obj.metadata.generation then
  return progressing("Waiting for the operator to look at this generation")
end

local conditions = {}
for _, condition in ipairs(status.conditions or {}) do
  conditions[condition.type] = condition
end
local ready, stalled, effective = conditions.Ready, conditions.Stalled, conditions.Effective

if ready == nil then
  return progressing("Waiting for the operator to say whether it is ready")
end

if stalled ~= nil and stalled.status == "True" then
  return { status = "Degraded", message = stalled.message }
end

if ready.status == "True" then
  local message = ready.message
  -- Every policy is in place, and somebody else's undoes them. That is for that policy's owner to mend: it fails no sync.
  if effective ~= nil and effective.status == "False" then
    message = message .. ". Not effective: " .. effective.message
  end
  return { status = "Healthy", message = message }
end

if ready.status == "False" then
  -- What must be reachable may come later in the same sync: the operator waits for it and goes on by itself.
  if ready.reason == "PreflightFailed" then
    return progressing(ready.message)
  end
  return { status = "Degraded", message = ready.message }
end

-- By intention nothing is enforced.
if ready.reason == "Audit" then
  return { status = "Suspended", message = ready.message }
end

return progressing(ready.message)
