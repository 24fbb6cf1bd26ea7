import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  appendFileSync,
  chmodSync,
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { supervisorWrapper } from '../../supervisor/boot/wrapper.ts'
import { LOG_KEPT_BYTES, LOG_LIMIT_BYTES, trimLog } from '../../supervisor/shell/trim-log.ts'

const KEEPER = resolve(import.meta.dirname, '../../supervisor/shell/keeper.sh')

function folder(t: TestContext): string {
  const path = mkdtempSync('/tmp/ps-')
  t.after(() => rmSync(path, { recursive: true }))
  return path
}

/** Numbered lines of 64 bytes, from `first` on. */
const lines = (first: number, count: number) =>
  Array.from({ length: count }, (_, index) => `${String(first + index).padStart(63, '0')}\n`).join('')

/** The numbers in a log; its first line may have been cut. */
const numbersIn = (text: string) =>
  [...text.matchAll(/^0*(\d+)$/gm)].map((match) => Number(match[1])).slice(1)

/** No number is missing between the first that was kept and the last that was written. */
function isWhole(numbers: readonly number[], last: number): boolean {
  return numbers.at(-1) === last && numbers.every((number, index) => number === numbers[0]! + index)
}

describe('the log of the keeper', () => {
  it('stays bounded in a crash loop, keeps its newest part whole, and is the same file all along', async (t) => {
    const root = folder(t)
    const log = join(root, 'keeper.log')
    // In the place of Node: each life writes 320 KiB and fails; the 40th ends well, and the keeper with it.
    const node = join(root, 'node')
    const script = [
      '#!/bin/sh',
      `life=$(($(cat '${root}/life' 2>/dev/null || echo 0) + 1))`,
      `echo $life >'${root}/life'`,
      `wc -c <'${log}' >>'${root}/sizes'`,
      `cat '${root}/'$((life % 2)).txt`,
      '[ $life -lt 40 ] || exit 0',
      'exit 7',
    ]
    writeFileSync(node, `${script.join('\n')}\n`)
    chmodSync(node, 0o755)
    for (const odd of [0, 1]) writeFileSync(join(root, `${odd}.txt`), lines(odd * 5_120, 5_120))
    const output = openSync(log, 'a')
    const { ino } = statSync(log)
    const env = { PATH: '/usr/bin:/bin', PAIOS_KEEPER_MAX_WAIT: '0' }
    const keeper = spawn('/bin/sh', [KEEPER, node, 'entry', log], { env, stdio: ['ignore', output, output] })
    closeSync(output)
    assert.deepEqual(await once(keeper, 'exit'), [0, null])
    const sizes = readFileSync(join(root, 'sizes'), 'utf8').trim().split('\n').map(Number)
    assert.equal(sizes.length, 40)
    assert.ok(Math.max(...sizes) <= LOG_LIMIT_BYTES, `${Math.max(...sizes)} bytes at the start of a life`)
    assert.equal(statSync(log).ino, ino)
    const text = readFileSync(log, 'utf8')
    assert.doesNotMatch(text, /\0/)
    const numbers = numbersIn(text)
    const isNext = (number: number, index: number) =>
      index === 0 || number === (numbers[index - 1]! + 1) % 10_240
    assert.ok(numbers.every(isNext), 'no line is missing in what was kept')
    assert.equal(numbers.at(-1), 5_119)
  })

  it('is cut by `paios up`, too, which measures from there what the next keeper writes', (t) => {
    const log = join(folder(t), 'keeper.log')
    trimLog(log)
    writeFileSync(log, lines(1, 1_000))
    trimLog(log)
    assert.equal(statSync(log).size, 64_000)
    appendFileSync(log, lines(1_001, 20_000))
    trimLog(log)
    assert.equal(statSync(log).size, LOG_KEPT_BYTES)
    assert.ok(isWhole(numbersIn(readFileSync(log, 'utf8')), 21_000))
  })
})

describe('the boot log', () => {
  it('is cut by the program that never changes, before a version is looked for that may not even load', (t) => {
    const home = join(folder(t), "it's a home")
    const log = join(home, 'logs/supervisor/boot.log')
    mkdirSync(dirname(log), { recursive: true })
    const program = join(home, 'paios-supervisor')
    writeFileSync(program, supervisorWrapper(home))
    chmodSync(program, 0o755)
    writeFileSync(log, lines(1, 20_000))
    const start = () => {
      // As systemd and launchd open it.
      const output = openSync(log, 'a')
      const run = () =>
        execFileSync(program, { stdio: ['ignore', output, output], env: { PATH: '/usr/bin:/bin' } })
      assert.throws(run, { status: 1 }, 'there is no version')
      closeSync(output)
    }
    start()
    assert.equal(statSync(log).size, LOG_KEPT_BYTES)
    assert.ok(isWhole(numbersIn(readFileSync(log, 'utf8')), 20_000))
    appendFileSync(log, lines(20_001, 1))
    start()
    assert.ok(isWhole(numbersIn(readFileSync(log, 'utf8')), 20_001), 'a small one is left alone')
  })
})
