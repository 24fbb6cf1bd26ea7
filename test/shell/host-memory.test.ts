import assert from 'node:assert/strict'
import { totalmem } from 'node:os'
import { describe, it } from 'node:test'
import { fromLinux, fromMac, readHostMemory } from '../../supervisor/shell/host-memory.ts'

const MEMINFO = 'MemTotal:       24684084 kB\nMemFree:        100 kB\nMemAvailable:   1000000 kB\n'
const pressure = (some: string, full: string) =>
  `some avg10=99.00 avg60=${some} avg300=0.00 total=0\nfull avg10=99.00 avg60=${full} avg300=0.00 total=0\n`

describe('the memory of the host', () => {
  it('is read from this machine', {
    skip: process.platform !== 'linux' && 'NOT RUN: Linux only',
  }, async () => {
    const memory = await readHostMemory()
    assert.ok(memory)
    assert.equal(memory.size, totalmem())
    assert.ok(memory.avail > 0 && memory.avail <= memory.size)
    assert.ok(memory.level === null || [1, 2, 4].includes(memory.level))
  })

  it('suffers by what the kernel says of the last minute', () => {
    const level = (text: string) => fromLinux(MEMINFO, text)?.level
    assert.equal(level(pressure('0.00', '0.00')), 1)
    assert.equal(level(pressure('9.99', '0.00')), 1)
    assert.equal(level(pressure('10.00', '3.00')), 2)
    assert.equal(level(pressure('45.10', '10.00')), 4)
    assert.equal(level(''), null, 'a kernel that does not count it')
    assert.deepEqual(fromLinux(MEMINFO, ''), { avail: 1_024_000_000, size: 25_276_502_016, level: null })
    assert.equal(fromLinux('', pressure('0.00', '0.00')), null)
  })

  it('is told on macOS in words of its own', () => {
    const said =
      'The system has 17179869184 (1048576 pages with a page size of 16384).\n' +
      'System-wide memory free percentage: 50%\n'
    assert.deepEqual(fromMac(said, '4\n'), { avail: 8_589_934_592, size: 17_179_869_184, level: 4 })
    assert.equal(fromMac(said, '')?.level, null)
    assert.equal(fromMac('', '1'), null)
  })
})
