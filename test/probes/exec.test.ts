import assert from 'node:assert/strict'
import { test } from 'node:test'
import { exec } from '../../probes/exec.ts'
import { openProbe, reasonOf } from './target.ts'

const node = (script: string) => [process.execPath, '-e', script]

test('exec passes on the expected exit code and output', async (t) => {
  const check = await openProbe(t, exec, {
    command: node('console.log("all well"); process.exit(3)'),
    exitCode: 3,
    output: '^all',
  })
  assert.deepEqual(await check(), { kind: 'pass', note: null })
})

test('exec hands its own variables to the program', async (t) => {
  const check = await openProbe(t, exec, {
    command: node('console.log(process.env.MOOD)'),
    env: { MOOD: 'sunny' },
    output: '^sunny$',
  })
  assert.equal((await check()).kind, 'pass')
})

test('exec fails with the exit code and the last line of the error output, without colours', async (t) => {
  const check = await openProbe(t, exec, {
    command: node('console.error("x\\n\\u001b[31mno disk\\u001b[0m"); process.exit(2)'),
  })
  assert.match(reasonOf(await check()), /: exit 2, expected exit 0: no disk$/)
})

test('exec fails when the output does not match', async (t) => {
  const check = await openProbe(t, exec, { command: node('console.log("bad")'), output: 'good' })
  assert.match(reasonOf(await check()), /output does not match good$/)
})

test('exec cannot tell when the program does not exist', async (t) => {
  const check = await openProbe(t, exec, { command: ['/nowhere/program'] })
  assert.deepEqual(await check(), { kind: 'unknown', reason: '/nowhere/program cannot be run: ENOENT' })
})

test('exec fails when the program does not end in time, and the program is ended', async (t) => {
  const check = await openProbe(t, exec, { command: node('setInterval(() => {}, 1000)') })
  assert.match(reasonOf(await check(AbortSignal.timeout(300))), /not finished in time$/)
})
