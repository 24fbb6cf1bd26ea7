import assert from 'node:assert/strict'
import { test } from 'node:test'
import { noteCopies } from '../../probes/mcp-copies.ts'
import type { Copies } from '../../probes/probe.ts'
import { createTarget } from './target.ts'

const MIB = 1024 ** 2
const steps: string[] = []
const noteOf = (copies: () => Promise<Copies>) =>
  noteCopies(
    createTarget('/nowhere', {
      service: 'kb',
      copies,
      step: (name, _ms, detail) => void steps.push(`${name}: ${detail}`),
    }),
  )
const counted = (running: number, orphans: number, bytes: number | null) =>
  noteOf(() => Promise.resolve({ running, orphans, bytes }))

test('no copy says nothing, one and many are counted with what they cost', async () => {
  assert.equal(await counted(0, 0, null), null)
  assert.equal(await counted(1, 0, 60 * MIB), '1 copy runs (60 MiB)')
  assert.equal(await counted(3, 0, null), '3 copies run')
})

test('an orphan is named with what shows it', async () => {
  assert.equal(await counted(3, 2, 180 * MIB), '3 copies run (180 MiB), 2 of them orphaned: paios mcp kb')
})

test('a count that fails is said and shown as a step, and fails no check', async () => {
  steps.length = 0
  assert.equal(await noteOf(() => Promise.reject(new Error('no ps'))), 'copies not counted')
  assert.deepEqual(steps, ['census: no ps'])
})
