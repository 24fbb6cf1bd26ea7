import assert from 'node:assert/strict'
import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { openWatches } from '../../supervisor/shell/file-watch.ts'

const LIMIT_MS = 10_000

/** A folder with the file `watched` in it, and watches. `next` resolves to who is called next. */
function open(t: TestContext) {
  const folder = mkdtempSync('/tmp/pw-')
  const heard: string[] = []
  let wake: () => void = () => undefined
  const watches = openWatches((service) => {
    heard.push(service)
    wake()
  })
  t.after(() => {
    watches.close()
    rmSync(folder, { recursive: true })
  })
  const next = async () => {
    while (heard.length === 0) {
      const { promise, resolve, reject } = Promise.withResolvers<void>()
      wake = resolve
      // The watches hold nothing up, so that this also keeps the test alive.
      const limit = setTimeout(() => reject(new Error('nobody was called')), LIMIT_MS)
      await promise.finally(() => clearTimeout(limit))
    }
    return heard.shift()
  }
  const path = join(folder, 'watched')
  writeFileSync(path, 'one')
  return { folder, path, watches, heard, next }
}

/** Resolves to all who were called before a change that comes after all others was heard. */
async function settled({ folder, watches, heard, next }: ReturnType<typeof open>): Promise<string[]> {
  const path = join(folder, 'mark of the test')
  watches.add('mark', [path])
  writeFileSync(path, '')
  const others: string[] = []
  for (let service = await next(); service !== 'mark'; service = await next()) others.push(service ?? '')
  return [...others, ...heard]
}

describe('watching files', { timeout: 60_000 }, () => {
  it('hears of an edit in place and of a file that is replaced by a new one', async (t) => {
    const { path, watches, next } = open(t)
    watches.add('kb', [path])
    appendFileSync(path, 'two')
    assert.equal(await next(), 'kb')
    writeFileSync(`${path}.new`, 'three')
    renameSync(`${path}.new`, path)
    assert.equal(await next(), 'kb')
    appendFileSync(path, 'four')
    assert.equal(await next(), 'kb', 'the new file is watched')
  })

  it('hears of a file that is made, removed and made again', async (t) => {
    const { path, watches, next } = open(t)
    unlinkSync(path)
    watches.add('kb', [path])
    writeFileSync(path, 'one')
    assert.equal(await next(), 'kb')
    unlinkSync(path)
    assert.equal(await next(), 'kb')
    writeFileSync(path, 'two')
    assert.equal(await next(), 'kb')
  })

  it('is heard by each who watches the file, once for edits that follow each other at once', async (t) => {
    const place = open(t)
    const { path, watches } = place
    watches.add('kb', [path])
    watches.add('kb', [path])
    watches.add('gateway', [path])
    for (const text of ['a', 'b', 'c']) appendFileSync(path, text)
    assert.deepEqual((await settled(place)).sort(), ['gateway', 'kb'])
  })

  it('does not hear of other files of the folder', async (t) => {
    const place = open(t)
    place.watches.add('kb', [place.path])
    writeFileSync(`${place.path}.other`, 'x')
    assert.deepEqual(await settled(place), [])
  })

  it('hears of nothing any more once it was closed', async (t) => {
    const { path, watches, heard } = open(t)
    watches.add('kb', [path])
    appendFileSync(path, 'two')
    watches.close()
    appendFileSync(path, 'three')
    const later = open(t)
    later.watches.add('later', [later.path])
    appendFileSync(later.path, 'x')
    await later.next()
    assert.deepEqual(heard, [])
  })

  it('goes without a folder that does not exist, and watches it when asked again', async (t) => {
    const { folder, watches, next } = open(t)
    const path = join(folder, 'later', 'watched')
    watches.add('kb', [path, join(folder, 'watched', 'below a file')])
    mkdirSync(join(folder, 'later'))
    watches.add('kb', [path])
    writeFileSync(path, 'x')
    assert.equal(await next(), 'kb')
  })

  it('goes without a folder that the system cannot watch', async (t) => {
    const place = open(t)
    const loop = join(place.folder, 'loop')
    symlinkSync('loop', loop)
    place.watches.add('kb', [join(loop, 'watched'), place.path])
    appendFileSync(place.path, 'two')
    assert.deepEqual(await settled(place), ['kb'])
  })

  it('keeps its watch of a folder in which a file has the name of the folder', async (t) => {
    const { folder, watches, next } = open(t)
    const inner = join(folder, 'name')
    mkdirSync(inner)
    const paths = [join(inner, 'name'), join(inner, 'other')]
    paths.forEach((path, index) => {
      watches.add(`service ${index}`, [path])
    })
    writeFileSync(paths[0]!, '')
    assert.equal(await next(), 'service 0')
    writeFileSync(paths[1]!, '')
    assert.equal(await next(), 'service 1')
  })

  it('watches a folder that was removed and made again when asked again', async (t) => {
    const { folder, watches, next } = open(t)
    const path = join(folder, 'later', 'watched')
    mkdirSync(join(folder, 'later'))
    writeFileSync(path, 'x')
    watches.add('kb', [path])
    rmSync(join(folder, 'later'), { recursive: true })
    assert.equal(await next(), 'kb')
    mkdirSync(join(folder, 'later'))
    watches.add('kb', [path])
    writeFileSync(path, 'x')
    assert.equal(await next(), 'kb')
  })

  it('hears of the file through a link to its folder', async (t) => {
    const { folder, path, watches, next } = open(t)
    symlinkSync(folder, `${folder}.link`)
    t.after(() => unlinkSync(`${folder}.link`))
    watches.add('kb', [join(`${folder}.link`, 'watched')])
    appendFileSync(path, 'two')
    assert.equal(await next(), 'kb')
  })
})
