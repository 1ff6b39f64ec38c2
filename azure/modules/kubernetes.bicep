// AKS: page, ranker, daemon and runs. Pods sign in to Azure by workload identity; nodes with a GPU stand at 0.
param name string
param location string
param tags object
param logsId string
param subnetId string

@description('Addresses from which administrators use kubectl; none: from everywhere, with Entra ID all the same.')
param operatorAddresses array

@description('Object ids of Entra groups whose members administer the cluster.')
param administratorGroups array

@description('Registry that the nodes pull from.')
param registryName string

param systemSize string
param workSize string
param mostWorkNodes int
param gpuSize string
param mostGpuNodes int

var acrPull = subscriptionResourceId('Microsoft.Authorization/roleDefinitions', '7f951dda-4ed3-4680-a7ca-43fe172d538d')
var networkContributor = subscriptionResourceId('Microsoft.Authorization/roleDefinitions', '4d97b98b-1d4f-4787-a291-c67834d212e7')

resource clusterIdentity 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' = {
  name: '${name}-cluster'
  location: location
  tags: tags
}

resource registry 'Microsoft.ContainerRegistry/registries@2023-07-01' existing = {
  name: registryName
}

// The cluster puts its load balancer into the subnet.
resource joins 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(resourceGroup().id, clusterIdentity.id, networkContributor)
  properties: {
    principalId: clusterIdentity.properties.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: networkContributor
  }
}

resource cluster 'Microsoft.ContainerService/managedClusters@2024-09-01' = {
  name: name
  location: location
  tags: tags
  sku: {
    name: 'Base'
    tier: 'Standard'
  }
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${clusterIdentity.id}': {}
    }
  }
  dependsOn: [
    joins
  ]
  properties: {
    dnsPrefix: name
    nodeResourceGroup: '${name}-nodes'
    enableRBAC: true
    disableLocalAccounts: true
    aadProfile: {
      managed: true
      enableAzureRBAC: false
      adminGroupObjectIDs: administratorGroups
      tenantID: subscription().tenantId
    }
    apiServerAccessProfile: {
      authorizedIPRanges: operatorAddresses
    }
    oidcIssuerProfile: {
      enabled: true
    }
    securityProfile: {
      workloadIdentity: {
        enabled: true
      }
      imageCleaner: {
        enabled: true
        intervalHours: 168
      }
    }
    autoUpgradeProfile: {
      upgradeChannel: 'stable'
      nodeOSUpgradeChannel: 'NodeImage'
    }
    networkProfile: {
      networkPlugin: 'azure'
      networkPluginMode: 'overlay'
      networkPolicy: 'cilium'
      networkDataplane: 'cilium'
      outboundType: 'userAssignedNATGateway'
      loadBalancerSku: 'standard'
    }
    ingressProfile: {
      webAppRouting: {
        enabled: true
      }
    }
    addonProfiles: {
      azureKeyvaultSecretsProvider: {
        enabled: true
        config: {
          enableSecretRotation: 'true'
          rotationPollInterval: '10m'
        }
      }
      azurepolicy: {
        enabled: true
      }
      omsagent: {
        enabled: true
        config: {
          logAnalyticsWorkspaceResourceID: logsId
          useAADAuth: 'true'
        }
      }
    }
    agentPoolProfiles: [
      {
        name: 'system'
        mode: 'System'
        vmSize: systemSize
        count: 2
        minCount: 2
        maxCount: 3
        enableAutoScaling: true
        enableEncryptionAtHost: true
        maxPods: 60
        osSKU: 'AzureLinux'
        osDiskType: 'Managed'
        type: 'VirtualMachineScaleSets'
        vnetSubnetID: subnetId
        upgradeSettings: {
          maxSurge: '33%'
        }
      }
    ]
  }
}

// Pages, daemon and runs. One node at least: somebody may open the page at any time.
resource workPool 'Microsoft.ContainerService/managedClusters/agentPools@2024-09-01' = {
  parent: cluster
  name: 'work'
  properties: {
    mode: 'User'
    vmSize: workSize
    count: 1
    minCount: 1
    maxCount: mostWorkNodes
    enableAutoScaling: true
    enableEncryptionAtHost: true
    maxPods: 60
    osSKU: 'AzureLinux'
    osDiskSizeGB: 256 // a run keeps its videos on the node while it decodes them
    type: 'VirtualMachineScaleSets'
    vnetSubnetID: subnetId
    nodeLabels: {
      'chimp/pool': 'work'
    }
    upgradeSettings: {
      maxSurge: '33%'
    }
  }
}

// Heavy steps as pods (compute.kind = "k8s"). All of ours are placed by this label, so the pool needs no taint.
resource gpuPool 'Microsoft.ContainerService/managedClusters/agentPools@2024-09-01' = {
  parent: cluster
  name: 'gpu'
  properties: {
    mode: 'User'
    vmSize: gpuSize
    count: 0
    minCount: 0
    maxCount: mostGpuNodes
    enableAutoScaling: true
    enableEncryptionAtHost: true
    maxPods: 60
    osSKU: 'Ubuntu'
    osDiskSizeGB: 256
    type: 'VirtualMachineScaleSets'
    vnetSubnetID: subnetId
    nodeLabels: {
      'chimp/pool': 'gpu'
    }
    upgradeSettings: {
      maxSurge: '33%'
    }
  }
}

resource pulls 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: registry
  name: guid(registry.id, cluster.id, acrPull)
  properties: {
    principalId: cluster.properties.identityProfile.kubeletidentity.objectId
    principalType: 'ServicePrincipal'
    roleDefinitionId: acrPull
  }
}

resource logs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: cluster
  name: 'logs'
  properties: {
    workspaceId: logsId
    logs: [
      {
        category: 'kube-audit-admin'
        enabled: true
      }
      {
        category: 'guard'
        enabled: true
      }
    ]
  }
}

output name string = cluster.name
output issuer string = cluster.properties.oidcIssuerProfile.issuerURL
