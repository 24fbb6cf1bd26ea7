/** An MCP server in Python that uses no SDK, as people write their own: tried out, and its faults in words. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { probeKinds } from '../../probes/index.ts'
import { classify } from '../../supervisor/core/exits.ts'
import { createTarget, reasonOf, temporaryFolder } from '../probes/target.ts'
import { specOf } from './spec.ts'

const SERVER = fileURLToPath(new URL('../fixtures/mcp-python.py', import.meta.url))
const call = { name: 'kb_search', arguments: { text: 'mcp' }, expect: 'a protocol' }

/** One check of the preset's canary. */
async function tryOut(t: TestContext, script: string, settings: object = {}) {
  const spec = specOf('mcp-stdio', { command: ['python3', script], ...settings }, '/home/me')
  const [canary] = spec.probes
  assert.ok(canary?.kind === 'mcp')
  const probe = await probeKinds.mcp.open(canary, createTarget(await temporaryFolder(t)))
  t.after(() => probe.close())
  return probe.check(AbortSignal.timeout(canary.timeout))
}

/** A script that is no good server. */
async function broken(t: TestContext, text: string): Promise<string> {
  const script = join(await temporaryFolder(t), 'server.py')
  writeFileSync(script, text)
  return script
}

const NO_TOOLS = `
import sys, json
for line in sys.stdin:
    message = json.loads(line)
    if "id" in message:
        info = {"protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": {"name": "a", "version": "1"}}
        print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": {**info, "tools": []}}), flush=True)
`

describe('an MCP server in Python without any SDK', () => {
  it('passes: its tools are counted, a call is answered, and it need not know ping', async (t) => {
    assert.deepEqual(await tryOut(t, SERVER, { tools: ['kb_search', 'kb_add'], call }), {
      kind: 'pass',
      note: 'kb-py 1.0; 2 tools; no ping; kb_search answered',
    })
  })

  for (const [what, text, reason] of [
    [
      'a module is missing',
      'import nowhere_at_all\n',
      "ModuleNotFoundError: No module named 'nowhere_at_all'",
    ],
    ['it gives up in words', 'import sys\nsys.exit("no database at /srv/kb")\n', 'no database at /srv/kb'],
    ['it does not parse', 'def f(:\n', 'SyntaxError: invalid syntax'],
  ] as const) {
    it(`says why it ended: ${what}`, async (t) => {
      const found = reasonOf(await tryOut(t, await broken(t, text)))
      assert.equal(found, `initialize: exited with code 1 before it answered: ${reason}`)
    })
  }

  it('says that it has no tools', async (t) => {
    assert.equal(reasonOf(await tryOut(t, await broken(t, NO_TOOLS))), 'tools/list: the server has no tools')
  })

  it('kept as one instance, it is blocked where a module is missing, and else told with its error', async (t) => {
    const spec = specOf('mcp-stdio', { command: ['python3', 'kb.py'], serve: true }, '/home/me')
    const endOf = async (text: string) => {
      const { status, stderr } = spawnSync('python3', [await broken(t, text)], { encoding: 'utf8' })
      const { class: kind, reason } = classify(spec, { code: status, signal: null }, stderr)
      return [kind, reason]
    }
    assert.deepEqual(await endOf('import nowhere_at_all\n'), [
      'fatal',
      'exit code 1: the module nowhere_at_all is not installed in this Python',
    ])
    assert.deepEqual(await endOf('raise RuntimeError("the table is gone")\n'), [
      'failure',
      'exit code 1: RuntimeError: the table is gone',
    ])
  })
})
