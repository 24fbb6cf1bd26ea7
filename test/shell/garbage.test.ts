import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { describe, it } from 'node:test'

/** How often the clock asks for a collection; `own` is what the program itself does meanwhile. */
function collections(own: string): number {
  const program = `
    import { setTimeout as wait } from 'node:timers/promises'
    import { collectByClock } from '${import.meta.resolve('../../supervisor/shell/garbage.ts')}'
    let count = 0
    const end = collectByClock(() => { count++ }, 200)
    await wait(100)
    ${own}
    await wait(150)
    end()
    await wait(250)
    console.log(count)`
  const args = ['--expose-gc', '--input-type=module', '-e', program]
  return Number(spawnSync(process.execPath, args, { encoding: 'utf8' }).stdout)
}

describe('garbage', () => {
  it('is collected by the clock, until that ends', () => {
    assert.equal(collections(''), 1)
  })

  it('is not collected where V8 has done so since the last time', () => {
    assert.equal(collections('globalThis.gc()'), 0)
  })
})
