/** What `paios doctor` makes of a screen that can show nothing. */
import type { Facts, Finding } from './findings.ts'

/** A note: what is critical goes to the other channels alone. */
export function desktopFindings({ desktop, document }: Pick<Facts, 'desktop' | 'document'>): Finding[] {
  if (desktop === null) return []
  return [
    {
      id: 'desktop',
      level: 'note',
      what: `nothing is shown on this screen where no channel takes a message: ${desktop}`,
      where: document.path,
      remedy: 'install notify-send (libnotify) for a desktop, or set alerts.desktop: false',
    },
  ]
}
