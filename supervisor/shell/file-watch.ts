/** Watches files by their folders, since editors replace files. */
import { type FSWatcher, watch } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { errnoOf } from '../errors.ts'
import { expandHome } from './secrets.ts'

/** Editors write a file in several steps; a change is looked at after this pause. */
const SETTLE_MS = 300

/** Opens watching; `changed` hears the name under which a file was added. */
export function openWatches(changed: (service: string) => void) {
  const folders = new Map<string, { watcher: FSWatcher; files: Map<string, Set<string>> }>()
  const pending = new Map<string, NodeJS.Timeout>()
  const later = (service: string) => {
    clearTimeout(pending.get(service))
    const fire = () => {
      pending.delete(service)
      changed(service)
    }
    pending.set(service, setTimeout(fire, SETTLE_MS).unref())
  }
  const forget = (folder: string) => {
    folders.get(folder)?.watcher.close()
    folders.delete(folder)
  }
  const openFolder = (folder: string) => {
    const files = new Map<string, Set<string>>()
    const watcher = watch(folder, { persistent: false }, (event, file) => {
      for (const service of files.get(file ?? '') ?? []) later(service)
      // The folder's own name: it was removed or moved, and this watch with it.
      if (event === 'rename' && file === basename(folder)) {
        forget(folder)
        for (const [name, services] of files) for (const service of services) add(service, join(folder, name))
      }
    })
    watcher.on('error', () => forget(folder))
    folders.set(folder, { watcher, files })
    return files
  }
  const add = (service: string, path: string) => {
    const folder = dirname(path)
    try {
      const files = folders.get(folder)?.files ?? openFolder(folder)
      files.set(basename(path), (files.get(basename(path)) ?? new Set()).add(service))
    } catch (error) {
      // No such folder yet, or no watches left in the system: the period of the probe is the fallback.
      if (errnoOf(error) === null) throw error
    }
  }
  return {
    add(service: string, paths: readonly string[]): void {
      for (const path of paths.map(expandHome)) add(service, path)
    },
    close(): void {
      for (const { watcher } of folders.values()) watcher.close()
      for (const timer of pending.values()) clearTimeout(timer)
    },
  }
}
