import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { countTools } from '../../probes/mcp-tools.ts'

describe('the tools of an MCP server', () => {
  it('are counted as listed, missing and changed', () => {
    const accepted = { keep: 'a', other: 'b', gone: 'c' }
    const seen = { keep: 'a', other: 'z', fresh: 'd' }
    assert.deepEqual(countTools(seen, accepted, ['gone', 'never']), { listed: 3, missing: 2, changed: 2 })
  })

  it('are neither missing nor changed before anything was accepted or asked for', () => {
    assert.deepEqual(countTools({ keep: 'a' }, null, []), { listed: 1, missing: 0, changed: 0 })
  })

  it('are all missing of a server that lists none', () => {
    assert.deepEqual(countTools({}, { keep: 'a' }, ['keep']), { listed: 0, missing: 1, changed: 0 })
  })
})
