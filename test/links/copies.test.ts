import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { findTrees, type Seen } from '../../supervisor/links/copies.ts'

const seen = (pid: number, parent: number, line: string): Seen => {
  const words = line.split(' ')
  return { pid, parent, group: pid, session: 1, start: String(pid), program: words[0]!, words }
}
const KB = { id: 'kb', argv: ['python3', '/srv/kb.py'] }
const NPX = { id: 'mem', argv: ['npx', '-y', 'mem'] }
const judge = { realPath: () => null, choose: (_: Seen, ids: readonly string[]) => ids[0]! }
const find = (processes: Seen[], wanted = [KB, NPX]) =>
  findTrees(processes, wanted, judge).map(({ id, members, client, parent }) => ({
    id,
    pids: members.map(({ pid }) => pid),
    client: client === null ? null : `${client.kind} ${client.pid}`,
    parent: parent?.pid ?? null,
  }))

describe('the copies of a server', () => {
  it('are told apart by client, however deep the client stands above', () => {
    const found = find([
      seen(1, 0, 'init'),
      seen(10, 1, 'claude'),
      seen(11, 10, 'python3 /srv/kb.py'),
      seen(20, 1, 'node /usr/bin/codex exec'),
      seen(21, 20, 'sh -c x'),
      seen(22, 21, 'python3 /srv/kb.py'),
      seen(30, 1, 'openclaw-gateway'),
      seen(31, 30, 'python3 /srv/kb.py'),
      seen(40, 1, 'python3 /srv/kb.py'),
    ])
    assert.deepEqual(found, [
      { id: 'kb', pids: [11], client: 'claude 10', parent: 10 },
      { id: 'kb', pids: [22], client: 'codex 20', parent: 21 },
      { id: 'kb', pids: [31], client: 'openclaw 30', parent: 30 },
      { id: 'kb', pids: [40], client: null, parent: 1 },
    ])
  })

  it('count a wrapper and all that it has started as one', () => {
    const found = find([
      seen(10, 1, 'claude'),
      { ...seen(11, 10, ''), words: ['npm exec mem'] },
      seen(12, 11, 'sh -c mem'),
      seen(13, 12, 'node /x/node_modules/.bin/mem'),
      seen(14, 13, 'worker'),
    ])
    assert.deepEqual(found, [{ id: 'mem', pids: [11, 12, 13, 14], client: 'claude 10', parent: 10 }])
  })

  it('do not swallow a client that a server has started, nor the copies of that client', () => {
    const found = find([
      seen(10, 1, 'claude'),
      seen(11, 10, 'python3 /srv/kb.py'),
      seen(12, 11, 'claude -p x'),
      seen(13, 12, 'python3 /srv/kb.py'),
    ])
    assert.deepEqual(
      found.map(({ pids, client }) => [pids, client]),
      [
        [[11], 'claude 10'],
        [[13], 'claude 12'],
      ],
    )
  })

  it('are found in a table that was not read in one instant', () => {
    assert.deepEqual(find([seen(5, 6, 'python3 /srv/kb.py'), seen(6, 5, 'sh')]), [
      { id: 'kb', pids: [5, 6], client: null, parent: 6 },
    ])
  })
})
