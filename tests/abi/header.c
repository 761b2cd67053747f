/* voxseg.h alone, twice, with nothing before it. */
#include <voxseg.h>
#include <voxseg.h>

vxs_status use_header(struct vxs_plan *plan, const struct vxs_volume *volume,
                      const struct vxs_labels *labels);

vxs_status use_header(struct vxs_plan *plan, const struct vxs_volume *volume,
                      const struct vxs_labels *labels) {
    return vxs_segment(plan, volume, 0, labels, 0, 0);
}
