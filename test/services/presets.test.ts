import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { createInterface } from 'node:readline'
import { describe, it } from 'node:test'
import { parse } from 'yaml'
import { probeKinds } from '../../probes/index.ts'
import type { ProbeTarget } from '../../probes/probe.ts'
import { presets } from '../../services/index.ts'
import { specOf } from './spec.ts'

const SECTIONS = ['Symptoms', 'Impact', 'Check', 'Recover', 'Verify', 'Escalate']
const runbooks = new URL('../../runbooks/', import.meta.url)
const EXAMPLES = {
  process: { command: ['sleep', '60'] },
  'mcp-stdio': { command: ['some-server'], serve: true },
  'openclaw-gateway': {},
} satisfies Record<keyof typeof presets, object>
const ids = Object.keys(EXAMPLES) as (keyof typeof presets)[]

describe('the register of presets', () => {
  it('names each preset as it names itself, and holds every preset that there is', () => {
    for (const id of ids) assert.equal(presets[id].id, id)
    assert.deepEqual(Object.keys(presets).sort(), [...ids].sort())
  })

  for (const id of ids) {
    it(`${id} makes a valid spec of its settings`, () => {
      const spec = specOf(id, EXAMPLES[id], '/home/me')
      assert.equal(spec.runbook, `${id}.md`)
      assert.equal(new Set(spec.probes.map((probe) => probe.name)).size, spec.probes.length)
    })

    it(`${id} has a runbook with exactly the six sections and typed front matter`, () => {
      const text = readFileSync(new URL(`${id}.md`, runbooks), 'utf8')
      const [, frontMatter = '', body = ''] = /^---\n([\s\S]*?)\n---\n([\s\S]*)$/.exec(text) ?? []
      const head = parse(frontMatter)
      assert.deepEqual([Object.keys(head), head.preset], [['preset', 'title'], id])
      assert.deepEqual(
        [...body.matchAll(/^## (.+)$/gm)].map((match) => match[1]),
        SECTIONS,
      )
      const check = body.slice(body.indexOf('## Check'), body.indexOf('## Recover'))
      assert.match(check, /```sh\npaios status /)
    })
  }

  it('every runbook belongs to a preset', () => {
    const names = readdirSync(runbooks).map((name) => name.replace(/\.md$/, ''))
    assert.deepEqual(
      names.filter((name) => !Object.hasOwn(presets, name)),
      [],
    )
  })
})

describe('process', () => {
  it('has no probes, stops by SIGTERM and 10 s, and refuses secrets in arguments', () => {
    const spec = specOf('process', EXAMPLES.process, '/home/me')
    assert.deepEqual([spec.kind, spec.probes], ['daemon', []])
    assert.deepEqual(spec.stop, [
      { step: 'signal', signal: 'SIGTERM', to: 'group' },
      { step: 'wait-exit', for: 10_000 },
    ])
    assert.throws(() => specOf('process', { command: ['x', '${env:KEY}'] }, '/home/me'), /shows in ps/)
  })
})

describe('mcp-stdio', () => {
  it('needs serve: true', () => {
    assert.throws(() => specOf('mcp-stdio', { command: ['x'] }, '/home/me'), /must be `true`/)
    assert.throws(() => specOf('mcp-stdio', { command: ['x'], serve: false }, '/home/me'), /must be `true`/)
  })

  it('runs a real server: the handshake passes, and closing stdin ends it', async () => {
    const entry = createRequire(import.meta.url).resolve('@modelcontextprotocol/server-memory/dist/index.js')
    const spec = specOf('mcp-stdio', { command: [process.execPath, entry], serve: true }, '/home/me')
    const [program = '', ...args] = spec.command ?? []
    const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'ignore'] })
    const ended = once(child, 'exit')
    const lines = createInterface({ input: child.stdout })
    let id = 0
    const request = async (message: { method: string; params?: unknown }) => {
      const answered = once(lines, 'line')
      child.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', id: ++id, ...message })}\n`)
      const [line] = (await answered) as [string]
      return JSON.parse(line).result as unknown
    }
    const [handshake] = spec.probes
    assert.ok(handshake?.kind === 'mcp' && spec.stdio === 'pipes')
    const target = { service: 'subject', generation: 1, request } as unknown as ProbeTarget
    const probe = await probeKinds.mcp.open(handshake, target)
    const result = await probe.check(AbortSignal.timeout(handshake.timeout))
    assert.ok(result.kind === 'pass' && /memory/.test(result.note ?? ''), JSON.stringify(result))
    assert.equal(spec.stop[0]?.step, 'close-stdin')
    child.stdin.end()
    assert.deepEqual(await ended, [0, null])
  })
})
