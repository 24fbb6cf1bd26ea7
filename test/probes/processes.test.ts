import assert from 'node:assert/strict'
import { test } from 'node:test'
import { processes } from '../../probes/processes.ts'
import { createTarget, openProbe } from './target.ts'

const look = async (t: Parameters<typeof openProbe>[0], count: number, max: number) => {
  const pids = Array.from({ length: count }, (_, i) => i + 2)
  return (await openProbe(t, processes, { max }, createTarget('/nowhere', { tree: async () => pids })))()
}

test('a tree of at most so many processes passes, a larger one fails with both numbers', async (t) => {
  assert.equal((await look(t, 3, 3)).kind, 'pass')
  assert.deepEqual(await look(t, 4, 3), {
    kind: 'fail',
    reason: '4 processes in its tree, allowed 3',
    progress: false,
  })
})

test('a service without a process cannot be judged', async (t) => {
  assert.equal((await look(t, 0, 3)).kind, 'unknown')
})
