/** Batteries as Linux and macOS show them. What macOS prints is that of its manual; it was not tried on a Mac. */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { openBattery } from '../../supervisor/shell/battery.ts'

type Supply = Readonly<Record<string, string>>
const BATTERY: Supply = { type: 'Battery', present: '1', status: 'Discharging', capacity: '9' }
const neverRun = () => Promise.reject(new Error('Linux runs nothing for that'))

function folderOf(t: TestContext, supplies: Readonly<Record<string, Supply>>): string {
  const folder = mkdtempSync('/tmp/pb-')
  t.after(() => rmSync(folder, { recursive: true }))
  for (const [name, files] of Object.entries(supplies)) {
    mkdirSync(join(folder, name))
    for (const [file, text] of Object.entries(files)) writeFileSync(join(folder, name, file), `${text}\n`)
  }
  return folder
}

describe('the battery on Linux', () => {
  const cases: [string, boolean, Readonly<Record<string, Supply>>][] = [
    ['is low below 10 %', true, { BAT0: BATTERY }],
    ['is not low with 10 %', false, { BAT0: { ...BATTERY, capacity: '10' } }],
    ['is not low while it is charged', false, { BAT0: { ...BATTERY, status: 'Charging' } }],
    ['is not low with the mains', false, { BAT0: BATTERY, AC: { type: 'Mains', online: '1' } }],
    ['is low with a mains supply that is out', true, { BAT0: BATTERY, AC: { type: 'Mains', online: '0' } }],
    ['is not that of a mouse', false, { hid: { ...BATTERY, scope: 'Device' } }],
    ['is not one that was taken out', false, { BAT0: { ...BATTERY, present: '0' } }],
    [
      'is both where there are two',
      false,
      { BAT0: BATTERY, BAT1: { ...BATTERY, status: 'Unknown', capacity: '90' } },
    ],
    [
      'is not low where it does not say how full it is',
      false,
      { BAT0: { type: 'Battery', status: 'Discharging' } },
    ],
    ['is not low where there is none', false, {}],
  ]
  for (const [name, isLow, supplies] of cases)
    it(name, async (t) => {
      const folder = folderOf(t, supplies)
      assert.equal(await openBattery({ platform: 'linux', folder, run: neverRun }).isLow(), isLow)
    })

  it('is not low where the kernel shows no power supplies', async () => {
    assert.equal(
      await openBattery({ platform: 'linux', folder: '/nonexistent', run: neverRun }).isLow(),
      false,
    )
  })

  it('is looked at again after 30 seconds', async (t) => {
    const folder = folderOf(t, { BAT0: BATTERY })
    let now = 0
    const battery = openBattery({ platform: 'linux', folder, run: neverRun, now: () => now })
    assert.equal(await battery.isLow(), true)
    writeFileSync(join(folder, 'BAT0', 'status'), 'Charging\n')
    assert.equal(await battery.isLow(), true)
    now = 30_000
    assert.equal(await battery.isLow(), false)
  })
})

describe('the battery on macOS', () => {
  const isLow = (text: string) => {
    const run = async (argv: readonly string[]) => {
      assert.deepEqual(argv, ['/usr/bin/pmset', '-g', 'batt'])
      return text
    }
    return openBattery({ platform: 'darwin', run }).isLow()
  }
  const line = (percent: number, what: string) =>
    ` -InternalBattery-0 (id=4653155)\t${percent}%; ${what}; 0:31 remaining present: true\n`

  it('is low below 10 % and without the mains', async () => {
    assert.equal(await isLow(`Now drawing from 'Battery Power'\n${line(7, 'discharging')}`), true)
    assert.equal(await isLow(`Now drawing from 'Battery Power'\n${line(70, 'discharging')}`), false)
    assert.equal(await isLow(`Now drawing from 'AC Power'\n${line(7, 'charging')}`), false)
    assert.equal(await isLow("Now drawing from 'AC Power'\n"), false)
  })

  it('is not low where pmset fails', async () => {
    assert.equal(await openBattery({ platform: 'darwin', run: neverRun }).isLow(), false)
  })
})
